import type {
  AgesView,
  AuditEntryView,
  CallerView,
  DeployRequest,
  EndedSessionView,
  ForecastView,
  LengthsDetailView,
  LiveSessionView,
  MovedView,
  PreviewRequest,
  PreviewView,
  ReleaseView,
  RestartRequest,
  RollbackRequest,
  SessionStoryView,
  SignedInView,
  TimelineView,
} from "@holdover/control/api";
import { callApi, type Call, type Fetch } from "./api-call.ts";

export interface SessionsQuery {
  readonly service?: string | undefined;
  readonly release?: string | undefined;
  readonly search?: string | undefined;
  readonly state?: "open" | "lingering" | undefined;
  readonly order?: SessionOrder | undefined;
  readonly limit?: number;
}
export type SessionOrder = "oldest" | "newest";

export interface AuditQuery {
  readonly after?: number;
  readonly limit?: number;
  readonly tail?: number;
  readonly service?: string;
  readonly release?: string;
  readonly session?: string;
  readonly kind?: string;
}

export type DeployCall = Pick<DeployRequest, "release" | "dir" | "then" | "allowStateLoss">;

/** The calls of the public API that the page makes. All throw ApiFailure. */
export type HoldoverApi = ReturnType<typeof createApi>;

/**
 * @param token of whoever is signed in, asked anew for each call
 * @param refused is told of an answer that says that the token is not valid (any more)
 */
export function createApi(fetch: Fetch, token: () => string | null, refused: (error: unknown) => void) {
  async function open(call: Call): Promise<Response> {
    try {
      return await callApi(fetch, token(), call);
    } catch (error) {
      refused(error);
      throw error;
    }
  }
  const json = async <Answer>(call: Call): Promise<Answer> => (await (await open(call)).json()) as Answer;
  const get = <Answer>(path: string, query?: Call["query"], signal?: AbortSignal) =>
    json<Answer>({ path, ...(query && { query }), ...(signal && { signal }) });
  const post = <Answer>(path: string, body: unknown, signal?: AbortSignal) =>
    json<Answer>({ method: "POST", path, body, ...(signal && { signal }) });

  return {
    open,
    signIn: (code: string) => post<SignedInView>("v1/sign-in", { code }),
    /** Takes the token back where it came by a sign-in link. */
    signOut: () => post<{ revoked: boolean }>("v1/sign-out", {}),
    /** Who calls with the token of whoever is signed in, or with another one that is only tried. */
    me: async (tried?: string) =>
      tried === undefined
        ? get<CallerView>("v1/me")
        : ((await (await callApi(fetch, tried, { path: "v1/me" })).json()) as CallerView),
    timeline: (service: string, fromMs: number, signal?: AbortSignal) =>
      get<TimelineView>(`${of(service)}/timeline`, { fromMs: Math.round(fromMs) }, signal),
    lengths: (service: string, signal?: AbortSignal) =>
      get<LengthsDetailView>(`${of(service)}/lengths`, undefined, signal),
    ages: (service: string, signal?: AbortSignal) => get<AgesView>(`${of(service)}/ages`, undefined, signal),
    forecast: (service: string, release: string, signal?: AbortSignal) =>
      get<ForecastView>(`${of(service, release)}/forecast`, undefined, signal),
    log: (service: string, release: string, instance: string | undefined, lines: number) =>
      get<{ lines: string[] }>(`${of(service, release)}/log`, { instance, lines }),
    sessions: (query: SessionsQuery, signal?: AbortSignal) =>
      get<{ sessions: LiveSessionView[]; matches: number }>("v1/sessions", { ...query }, signal),
    session: (service: string, key: string, signal?: AbortSignal) =>
      get<SessionStoryView>(`${of(service)}/session`, { key }, signal),
    history: (query: { service?: string; release?: string; limit: number }, signal?: AbortSignal) =>
      get<{ sessions: EndedSessionView[] }>("v1/history", query, signal),
    audit: (query: AuditQuery, signal?: AbortSignal) =>
      get<{ entries: AuditEntryView[] }>("v1/audit", { ...query }, signal),
    preview: (service: string, request: PreviewRequest, signal?: AbortSignal) =>
      post<PreviewView>(`${of(service)}/preview`, request, signal),
    deploy: (service: string, request: DeployCall) => post<ReleaseView>(`${of(service)}/releases`, request),
    promote: (service: string, release: string) => post<ReleaseView>(`${of(service, release)}/promote`, {}),
    ramp: (service: string, release: string, percent: number) =>
      post<ReleaseView>(`${of(service, release)}/ramp`, { percent }),
    rollback: (service: string, request: RollbackRequest) => post<ReleaseView>(`${of(service)}/rollback`, request),
    retire: (service: string, release: string, now: boolean) =>
      post<ReleaseView>(`${of(service, release)}/retire`, { now }),
    restart: (service: string, request: RestartRequest) => post<ReleaseView>(`${of(service)}/restart`, request),
    stopRestart: (service: string) => json<ReleaseView>({ method: "DELETE", path: `${of(service)}/restart` }),
    move: (service: string, key: string) => post<MovedView>(`${of(service)}/sessions/move`, { key }),
  };
}

function of(service: string, release?: string): string {
  const path = `v1/services/${encodeURIComponent(service)}`;
  return release === undefined ? path : `${path}/releases/${encodeURIComponent(release)}`;
}
