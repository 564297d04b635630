import { request, type IncomingMessage } from "node:http";

/** What tests read of `GET /v1/status`. */
export interface ClusterStatus {
  readonly router: { readonly linked: boolean; readonly tableIssued: number; readonly tableInForce: number | null };
  readonly services: readonly ServiceStatus[];
}

export interface ServiceStatus {
  readonly name: string;
  readonly current: string | null;
  readonly sessions: SessionCounts | null;
  readonly releases: readonly ReleaseStatus[];
}

export interface ReleaseStatus {
  readonly id: string;
  readonly state: string;
  readonly sessions: SessionCounts | null;
  readonly instances: readonly { readonly id: string; readonly state: string; readonly pid: number | null }[];
  readonly failure: { readonly code: string; readonly problem: string; readonly log: readonly string[] } | null;
}

export interface SessionCounts {
  readonly open: number;
  readonly lingering: number;
  readonly connections: number;
}

/** What is looked for in a status, or can be found out by now; nothing, null or false where it is not there yet. */
export type StatusCheck<Found> = (status: ClusterStatus) => Sought<Found> | Promise<Sought<Found>>;
type Sought<Found> = Found | undefined | null | false;

const CALL_MS = 30_000;
/** Counts of sessions change without an audit entry, so that events alone would not wake a wait for them. */
const LOOK_AGAIN_MS = 200;

/**
 * One call of the API over its unix socket.
 * @throws Error for every answer but 2xx
 */
export async function callApi<Answer>(socket: string, method: string, path: string, body?: object): Promise<Answer> {
  const response = await answerOf(socket, method, path, body, AbortSignal.timeout(CALL_MS));
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk as string;
  const status = response.statusCode ?? 0;
  if (status < 200 || status >= 300) throw new Error(`${method} ${path} was answered with ${status}: ${text}`);
  return JSON.parse(text) as Answer;
}

/**
 * Resolves with what `check` finds in the status, as soon as it finds something; looks after every audit entry.
 * @param what names it in the error: "v1 is retired"
 * @throws Error after `withinMs`, with the last status
 */
export async function statusUntil<Found>(
  socket: string,
  what: string,
  check: StatusCheck<Found>,
  withinMs: number,
): Promise<Found> {
  const deadline = AbortSignal.timeout(withinMs);
  const over = new AbortController();
  let last: unknown;
  let wake = () => {};
  let news = false;
  const tell = () => {
    news = true;
    wake();
  };
  const events = followEvents(socket, tell, over.signal);
  try {
    while (!deadline.aborted) {
      news = false;
      try {
        const status = await callApi<ClusterStatus>(socket, "GET", "/v1/status");
        last = status;
        const found = await check(status);
        if (found !== undefined && found !== null && found !== false) return found;
      } catch (error) {
        // Control may be just starting again; what `check` itself throws is told at the end.
        last = error;
      }
      if (news) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_AGAIN_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    throw new Error(
      `not within ${withinMs} ms: ${what}. Last seen: ${last instanceof Error ? last : JSON.stringify(last)}`,
    );
  } finally {
    over.abort();
    await events;
  }
}

/** Calls back for every piece of the event stream, until it ends or the signal comes. */
async function followEvents(socket: string, onNews: () => void, signal: AbortSignal): Promise<void> {
  try {
    const response = await answerOf(socket, "GET", "/v1/events", undefined, signal);
    for await (const _ of response) onNews();
  } catch {
    // Without events the looks at the status still go on.
  }
}

function answerOf(
  socketPath: string,
  method: string,
  path: string,
  body: object | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { host: "holdover", ...(body && { "content-type": "application/json" }) };
    request({ socketPath, method, path, agent: false, signal, headers })
      .once("error", reject)
      .once("response", resolve)
      .end(body && JSON.stringify(body));
  });
}
