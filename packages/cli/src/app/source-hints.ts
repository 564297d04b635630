import type { KeyPlace } from "@holdover/core";
import { keyPlaceText } from "../config/key-places.ts";
import type { Source } from "./sources.ts";

/** Something that the sources of an application suggest, and the place where they do: `server.js:12`. */
interface Hint<What> {
  readonly what: What;
  readonly where: string;
}

export interface SourceHints {
  /** Where requests may carry their session key, without doubles. */
  readonly keys: readonly Hint<KeyPlace>[];
  /** A path that may be a health check; null where none is seen. */
  readonly health: Hint<string> | null;
  /** Whether any source speaks of PORT; true where there is none to look at. */
  readonly readsPort: boolean;
}

/** What a session is called, at the end of a name such as `gameRoom` or `call_id`. */
const NOUN =
  "(?:rooms?|sessions?|calls?|meetings?|games?|match(?:es)?|tables?|lobby|lobbies|conversations?|channels?|chats?|docs?|documents?|boards?|agents?)";
const ID = "(?:[_-]?(?:id|key|name|code))?";
const NAME = `[A-Za-z0-9_-]*?${NOUN}${ID}`;
/**
 * `searchParams.get("room")`, `req.query.roomId`, `query["room"]`, `Query().Get("room")`, `qs.get('room')`,
 * `const { room } = socket.handshake.query`, and `?room=` in a text.
 */
const QUERY = new RegExp(
  [
    `(?:searchParams|query|query_params|args|Query\\(\\)|params|\\bqs?)(?:\\??\\.[gG]et\\(|\\??\\.?\\[)\\s*["'\`](${NAME})["'\`]`,
    `\\bquery\\??\\.(${NAME})\\b(?!\\s*\\()`,
    `\\{[^{}\\n]{0,200}?\\b(${NAME})\\b[^{}\\n]{0,200}\\}\\s*=\\s*[\\w.]*\\bquery\\b`,
    `[?&](${NAME})=`,
  ].join("|"),
  "gi",
);
/** `"/rooms/:id"`, `'/rooms/{id}'`, `"/rooms/<id>"`, also after a method as Go has it: `"GET /rooms/{id}"`. */
const ROUTE = /["'`](?:[A-Z]+ )?((?:\/[\w.-]+)*\/(?::\w+|\{\w+\}|<(?:\w+:)?\w+>)(?:\/[\w.-]+)*)["'`]/g;
/** `headers["x-room"]`, `headers.get("x-room-id")`, `Header.Get("X-Room")`, `req.header("x-session")`. */
const HEADER = new RegExp(`\\bheaders?\\??(?:\\.[gG]et\\(|\\.?\\[|\\()\\s*["'\`]((?:x-)?${NAME})["'\`]`, "gi");
const HEALTH = /["'`](?:GET )?(\/(?:[\w-]+\/)?(?:healthz?|health-?check|livez|readyz|ready|up|ping))["'`]/;
const MOST_KEYS = 4;

export function hintsIn(sources: readonly Source[]): SourceHints {
  const keys = new Map<string, Hint<KeyPlace>>();
  let health: Hint<string> | null = null;
  for (const { path, text } of sources) {
    const at = (index: number): string => `${path}:${text.slice(0, index).split("\n").length}`;
    for (const { place, index } of placesIn(text)) {
      const name = keyPlaceText(place).toLowerCase();
      if (keys.size < MOST_KEYS && !keys.has(name)) keys.set(name, { what: place, where: at(index) });
    }
    const found = HEALTH.exec(text);
    if (!health && found?.[1]) health = { what: found[1], where: at(found.index) };
  }
  const readsPort = sources.length === 0 || sources.some(({ text }) => /\bPORT\b/.test(text));
  return { keys: [...keys.values()], health, readsPort };
}

/** In the order of the text. */
function placesIn(text: string): { place: KeyPlace; index: number }[] {
  const places: { place: KeyPlace; index: number }[] = [];
  for (const { 1: read, 2: property, 3: taken, 4: shown, index } of text.matchAll(QUERY)) {
    const query = read ?? property ?? taken ?? shown;
    if (query) places.push({ place: { query }, index });
  }
  for (const { 1: route = "", index } of text.matchAll(ROUTE)) {
    const path = route.replace(
      /\{(\w+)\}|<(?:\w+:)?(\w+)>/,
      (_, braces?: string, angles?: string) => `:${braces ?? angles}`,
    );
    if (new RegExp(`(^|/)[\\w-]*${NOUN}/:|:${NAME}(/|$)`, "i").test(path)) places.push({ place: { path }, index });
  }
  for (const { 1: header, index } of text.matchAll(HEADER)) {
    if (header) places.push({ place: { header: header.toLowerCase() }, index });
  }
  return places.sort((a, b) => a.index - b.index);
}
