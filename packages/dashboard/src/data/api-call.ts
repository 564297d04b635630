/** What the API, or the way to it, says when a call does not succeed: what happened, and what to do next. */
export class ApiFailure extends Error {
  /** The HTTP status; 0: no answer came. */
  readonly status: number;
  /** A code of the error table, or UNREACHABLE. */
  readonly code: string;
  readonly what: string;
  readonly next: string;

  constructor(status: number, { code, what, next }: { code: string; what: string; next: string }) {
    super(`${what} ${next}`);
    this.name = "ApiFailure";
    this.status = status;
    this.code = code;
    this.what = what;
    this.next = next;
  }
}

/** How long an answer may take, ms: a deploy that copies a large build says nothing until it has. */
const ANSWER_MS = 300_000;

export interface Call {
  readonly method?: "GET" | "POST" | "DELETE";
  /** Beginning with `v1/`: the API is beside the page, wherever that is. */
  readonly path: string;
  /** Left out where undefined; each value is encoded. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Calls the API and returns its answer once it is known to be a success.
 * @throws ApiFailure; what `signal` was aborted with where it was
 */
export async function callApi(fetch: Fetch, token: string | null, call: Call): Promise<Response> {
  const { signal } = call;
  try {
    const response = await fetch(urlOf(call), {
      method: call.method ?? "GET",
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(call.body !== undefined && { "content-type": "application/json" }),
        ...call.headers,
      },
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
      cache: "no-store",
      credentials: "omit",
      signal: signal ?? AbortSignal.timeout(ANSWER_MS),
    });
    if (response.ok) return response;
    throw await failureOf(response);
  } catch (error) {
    if (error instanceof ApiFailure) throw error;
    signal?.throwIfAborted();
    throw unreachable();
  }
}

export function unreachable(): ApiFailure {
  return new ApiFailure(0, {
    code: "UNREACHABLE",
    what: "The control process does not answer.",
    next: "Sessions go on without it. Look whether `holdover up` runs on the server, and whether this machine reaches it.",
  });
}

/** What a person is told of whatever was thrown. */
export function asFailure(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  const problem = error instanceof Error ? error.message : String(error);
  return new ApiFailure(0, { code: "PAGE", what: `The page failed: ${problem}`, next: "Load it again." });
}

function urlOf({ path, query = {} }: Call): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) params.set(name, String(value));
  return params.size > 0 ? `${path}?${params.toString()}` : path;
}

async function failureOf(response: Response): Promise<ApiFailure> {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text) as { error: { code: unknown; what: unknown; next: unknown } };
    if (typeof error.code === "string" && typeof error.what === "string" && typeof error.next === "string") {
      return new ApiFailure(response.status, { code: error.code, what: error.what, next: error.next });
    }
  } catch {
    // Not an answer of Holdover; whatever stands between answered.
  }
  return new ApiFailure(response.status, {
    code: "NOT_HOLDOVER",
    what: `The answer was ${response.status} ${response.statusText} and not one of Holdover.`.replace("  ", " "),
    next: "Something between this page and the control API answered in its place: look at the proxy.",
  });
}
