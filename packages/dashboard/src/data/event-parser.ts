/** One event of a stream of server-sent events. */
export interface StreamEvent {
  readonly name: string;
  /** The id that was told last, this event's or an earlier one's; null: none yet. */
  readonly id: string | null;
  readonly data: string;
}

/** Characters that an event may have: a status of many services has hundreds of thousands. */
const EVENT_CHARS = 8 * 1024 * 1024;

/**
 * Reads server-sent events from text as it arrives, cut anywhere. EventSource would do, could it send a token.
 * @param take gets every event that has data
 * @returns takes the next piece; throws RangeError where an event is longer than any that Holdover sends
 */
export function createEventParser(
  take: (event: StreamEvent) => void,
  mostChars: number = EVENT_CHARS,
): (text: string) => void {
  let rest = "";
  let name = "";
  let data: string[] = [];
  let chars = 0;
  let id: string | null = null;
  let first = true;
  let endedByReturn = false;

  function line(text: string): void {
    if (text === "") {
      if (data.length > 0) take({ name: name || "message", id, data: data.join("\n") });
      name = "";
      data = [];
      chars = 0;
      return;
    }
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "data") {
      data.push(value);
      chars += value.length + 1;
    }
  }

  return (text) => {
    let from = 0;
    if (first && text.startsWith("\uFEFF")) from = 1;
    if (text !== "") first = false;
    // The second half of a line end that was cut in two.
    if (endedByReturn && text[from] === "\n") from += 1;
    if (text !== "") endedByReturn = false;
    const end = /\r\n|\n|\r/g;
    end.lastIndex = from;
    for (let found = end.exec(text); found; found = end.exec(text)) {
      line(rest + text.slice(from, found.index));
      rest = "";
      from = end.lastIndex;
      if (found[0] === "\r" && from === text.length) endedByReturn = true;
    }
    rest += text.slice(from);
    if (rest.length + chars > mostChars) throw new RangeError(`an event has over ${mostChars} characters`);
  };
}
