/** A session as the application has it: a call, a room, a game. */
export interface Session {
  readonly key: string;
  /**
   * A number that grows each time the session is placed anew. Keep it beside whatever the session writes elsewhere (rows,
   * locks, caches) and refuse what comes with an older one: its writer has lost the session since.
   */
  readonly fence: number;
  /** One of the values that the service lists in `session.label`; null where it has none. */
  readonly label: string | null;
}

/** What is needed of a request: node's, or that of any framework on it. */
export interface RequestHeaders {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * The session that a request, or the upgrade of a WebSocket, belongs to, as Holdover's router tells it. Null where this
 * process was not started by Holdover, as on a developer's laptop: what a client says of it by itself is not believed.
 */
export function sessionOf({ headers }: RequestHeaders, env: NodeJS.ProcessEnv = process.env): Session | null {
  const key = headers["holdover-session"];
  const fence = Number(headers["holdover-fence"]);
  if (!env["HOLDOVER_INSTANCE"] || typeof key !== "string" || !Number.isSafeInteger(fence) || fence < 1) return null;
  const label = headers["holdover-label"];
  try {
    return { key: decodeURIComponent(key), fence, label: typeof label === "string" ? decodeURIComponent(label) : null };
  } catch {
    return null;
  }
}
