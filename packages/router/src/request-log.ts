/** Lines a second at the most: whoever asks for nonsense as fast as it can does not fill the disk with it. */
const LINES_A_SECOND = 200;
const SECOND_MS = 1000;
/** What a stranger wrote is told so far, characters. */
const TEXT_CHARS = 300;

export interface RequestLogOptions {
  readonly log: (event: string, detail: Record<string, unknown>) => void;
  /** What a session is called, by its key. */
  readonly sessionName: (key: string) => string;
}

/** Lines about single requests. Of more than so many a second the rest is counted, and told with the next line (`untold`). */
export class RequestLog {
  readonly sessionName: RequestLogOptions["sessionName"];
  readonly #options: RequestLogOptions;
  #secondSinceMs = 0;
  #lines = 0;
  #untold = 0;

  constructor(options: RequestLogOptions) {
    this.sessionName = options.sessionName;
    this.#options = options;
  }

  /** Whether there is room for one more line; one that is asked for in vain is counted. */
  hasRoom(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#secondSinceMs >= SECOND_MS) {
      this.#secondSinceMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines < LINES_A_SECOND) return true;
    this.#untold += 1;
    return false;
  }

  /** After {@link hasRoom} alone. @param detail what is undefined is left out; of a long text only the beginning is told */
  write(event: string, detail: Readonly<Record<string, string | number | boolean | undefined>>): void {
    this.#lines += 1;
    const untold = this.#untold;
    this.#untold = 0;
    const told = Object.entries(detail)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, typeof value === "string" ? value.slice(0, TEXT_CHARS) : value]);
    this.#options.log(event, { ...Object.fromEntries(told), ...(untold > 0 && { untold }) });
  }
}
