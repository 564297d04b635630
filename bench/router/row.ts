/** One of those that are compared. */
export interface Row {
  readonly name: "direct" | "holdover" | "haproxy" | "nginx";
  /** With its version: "HAProxy 2.6.12". */
  readonly title: string;
  readonly port: number;
  /** The processes that connections pass through; none for direct. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** A peer that is not here, and why. */
export interface Skipped {
  readonly name: Row["name"];
  readonly why: string;
}
