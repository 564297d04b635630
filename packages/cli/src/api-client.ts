import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { request } from "node:http";
import {
  errorFromBody,
  formatDuration,
  HoldoverError,
  problemOf,
  type DeployIntent,
  type ErrorBody,
  type KeptSamples,
} from "@holdover/core";
import type {
  AuditEntryView,
  AuditVerdict,
  CompatibilityView,
  DeployPlanView,
  DeployRequest,
  EndedSessionView,
  ForecastView,
  InstanceView,
  LiveSessionView,
  MembershipView,
  MovedView,
  NewTokenView,
  OpenedSessionView,
  PreparedView,
  PrepareRequest,
  ReleaseView,
  RestartPlanView,
  RestartRequest,
  RevokeRequest,
  RollbackRequest,
  RotateRequest,
  ServiceView,
  SignInLinkView,
  StatusView,
  TokenRequest,
  TokenView,
} from "@holdover/control";

export type {
  AuditEntryView,
  CompatibilityView,
  DeployPlanView,
  EndedSessionView,
  ForecastView,
  InstanceView,
  LiveSessionView,
  MembershipView,
  MemberView,
  PreparedView,
  ReleaseView,
  RestartPlanView,
  RestartRequest,
  RetirementView,
  ServiceView,
  StatusView,
  TokenView,
} from "@holdover/control";

/** How long a question may take, in ms. */
const READ_MS = 10_000;
/** How long a change may take, in ms: it waits until it is stored and its table is in force. */
const CHANGE_MS = 30_000;
/** A copy of large databases takes as long as the disk. */
const BACKUP_MS = 600_000;
/** Trying values on processes of two releases, in ms. */
const TRIAL_CALL_MS = 60_000;
/** Following the whole audit chain, in ms. */
const VERIFY_MS = 120_000;
/** Following and sending all of it, in ms. */
const EXPORT_MS = 600_000;
/** The longest answer, 10,000 sessions or log lines, is a few MiB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** What a session is opened with, as a job; all of it may be left out. */
export interface NewSession {
  readonly key?: string;
  readonly agent?: string;
  readonly tenant?: string;
  readonly label?: string;
  /** JSON of up to 64 KiB. */
  readonly payload?: unknown;
}

export interface SessionFilter {
  readonly service?: string | undefined;
  readonly release?: string | undefined;
  readonly key?: string | undefined;
  /** A part of the key. */
  readonly search?: string | undefined;
  /** 1 to 10,000. */
  readonly limit: number;
}

export interface SessionList {
  readonly sessions: readonly LiveSessionView[];
  readonly matches: number;
}

/** What a release is made from; nothing: the copy that was kept of it. */
export interface Build {
  /** The service's section of holdover.yaml, as it is there. */
  readonly definition?: unknown;
  /** Absolute path of the directory. */
  readonly dir?: string;
}

type Query = Readonly<Record<string, string | number | undefined>>;

/**
 * The control API over its unix socket. Every call ends within its time limit.
 *
 * @throws HoldoverError all of them: NOT_RUNNING where nobody listens, CONTROL_BUSY where the answer broke off or did
 * not come in time, else what the API answered
 */
export class ApiClient {
  readonly #socket: string;
  readonly #actor: string | undefined;
  readonly #readMs: number;

  /**
   * @param socket path of the control socket
   * @param actor who asks, for the audit log; left out where it is no 1 to 64 printable ASCII characters
   * @param readMs how long a question may take, in ms
   */
  constructor(socket: string, actor?: string, readMs: number = READ_MS) {
    this.#readMs = readMs;
    this.#socket = socket;
    this.#actor = actor !== undefined && /^[\x20-\x7e]{1,64}$/.test(actor) ? actor : undefined;
  }

  async status(): Promise<StatusView> {
    return this.#get("/v1/status");
  }

  async service(service: string): Promise<ServiceView> {
    return this.#get(servicePath(service));
  }

  async release(service: string, release: string): Promise<ReleaseView> {
    return this.#get(releasePath(service, release));
  }

  /** Takes a release up; it is `starting` when this resolves. */
  async deploy(
    service: string,
    release: string,
    build: Build,
    intent: DeployIntent,
    allowStateLoss = false,
  ): Promise<ReleaseView> {
    const body: DeployRequest = { release, ...build, then: intent, ...(allowStateLoss && { allowStateLoss }) };
    return this.#post(`${servicePath(service)}/releases`, body);
  }

  /** Tries what sessions keep on two releases that run. */
  async compatibility(service: string, from: string, to: string): Promise<CompatibilityView> {
    const body = JSON.stringify({ from, to });
    return this.#call("POST", `${servicePath(service)}/compatibility`, body, TRIAL_CALL_MS);
  }

  /** Samples of what sessions keep, redacted by the application. */
  async samples(service: string): Promise<KeptSamples> {
    return this.#call("POST", `${servicePath(service)}/samples`, "{}", TRIAL_CALL_MS);
  }

  async promote(service: string, release: string): Promise<ReleaseView> {
    return this.#post(`${releasePath(service, release)}/promote`, {});
  }

  /** @param percent above 0 and up to 100 */
  async ramp(service: string, release: string, percent: number): Promise<ReleaseView> {
    return this.#post(`${releasePath(service, release)}/ramp`, { percent });
  }

  async retire(service: string, release: string, now: boolean): Promise<ReleaseView> {
    return this.#post(`${releasePath(service, release)}/retire`, { now });
  }

  /** Answers with the release that is current afterwards. */
  async rollback(service: string, body: RollbackRequest): Promise<ReleaseView> {
    return this.#post(`${servicePath(service)}/rollback`, body);
  }

  /** What is left of a release over time; of one that takes new sessions, if it were replaced now. */
  async forecast(service: string, release: string): Promise<ForecastView> {
    return this.#get(`${releasePath(service, release)}/forecast`);
  }

  /** What a deploy would mean for the current release. */
  async deployPlan(service: string): Promise<DeployPlanView> {
    return this.#get(`${servicePath(service)}/deploy-plan`);
  }

  /** Shrinks the linger of the current release towards a cutover. */
  async prepare(service: string, body: PrepareRequest): Promise<PreparedView> {
    return this.#post(`${servicePath(service)}/prepare`, body);
  }

  /** Gives the current release its normal linger again. */
  async unprepare(service: string): Promise<ReleaseView> {
    return this.#delete(`${servicePath(service)}/prepare`);
  }

  /** What a rolling restart of the current release would do. */
  async restartPlan(service: string, { batch, waitMs, graceMs }: RestartRequest): Promise<RestartPlanView> {
    return this.#get(`${servicePath(service)}/restart`, { batch, waitMs, graceMs });
  }

  /** Begins a rolling restart; it is under way when this resolves. */
  async restart(service: string, body: RestartRequest): Promise<ReleaseView> {
    return this.#post(`${servicePath(service)}/restart`, body);
  }

  /** Leaves the instances that are not replaced yet as they are. */
  async stopRestart(service: string): Promise<ReleaseView> {
    return this.#delete(`${servicePath(service)}/restart`);
  }

  async instances(): Promise<readonly InstanceView[]> {
    return (await this.#get<{ instances: InstanceView[] }>("/v1/instances")).instances;
  }

  /** Live sessions, oldest first, and how many match in all. */
  async sessions({ service, release, key, search, limit }: SessionFilter): Promise<SessionList> {
    return this.#get("/v1/sessions", { service, release, key, search, limit });
  }

  /** Opens a session as a job; it runs on a worker when this resolves. One that runs already is answered as it is. */
  async openSession(service: string, body: NewSession): Promise<OpenedSessionView> {
    return this.#post(`${servicePath(service)}/sessions`, body);
  }

  /** Has one session placed anew. */
  async moveSession(service: string, key: string): Promise<MovedView> {
    return this.#post(`${servicePath(service)}/sessions/move`, { key });
  }

  /** Sessions that are over, newest first. */
  async history({ service, release, limit }: SessionFilter): Promise<readonly EndedSessionView[]> {
    const answer = await this.#get<{ sessions: EndedSessionView[] }>("/v1/history", { service, release, limit });
    return answer.sessions;
  }

  /** The last lines, oldest first. @param lines 1 to 10,000 */
  async log(service: string, release: string, lines: number, instance?: string): Promise<readonly string[]> {
    return (await this.#get<{ lines: string[] }>(`${releasePath(service, release)}/log`, { lines, instance })).lines;
  }

  /** The last entries, oldest first. @param count 1 to 10,000 */
  async auditTail(count: number): Promise<readonly AuditEntryView[]> {
    return (await this.#get<{ entries: AuditEntryView[] }>("/v1/audit", { tail: count })).entries;
  }

  /** Entries above a number, oldest first. @param limit 1 to 10,000 */
  async auditAfter(seq: number, limit: number): Promise<readonly AuditEntryView[]> {
    return (await this.#get<{ entries: AuditEntryView[] }>("/v1/audit", { after: seq, limit })).entries;
  }

  async verifyAudit(): Promise<AuditVerdict> {
    return this.#call("GET", "/v1/audit/verify", undefined, VERIFY_MS);
  }

  /**
   * The audit log as lines of JSON, each with its newline; without the signed head at the end it is not whole.
   * @param until the last entry; left out: the last there is
   * @param take where the text goes, piece by piece
   */
  async exportAudit(after: number, until: number | undefined, take: (text: string) => void): Promise<void> {
    const query = new URLSearchParams({ after: String(after), ...(until !== undefined && { until: String(until) }) });
    const path = `/v1/audit/export?${query.toString()}`;
    const { status, text } = await this.#exchange("GET", path, undefined, EXPORT_MS, take);
    if (status !== 200) this.#refused("GET", path, status, text);
  }

  /** By name; without the one in the file. */
  async tokens(): Promise<readonly TokenView[]> {
    return (await this.#get<{ tokens: TokenView[] }>("/v1/tokens")).tokens;
  }

  /** Makes a token; its secret is told this once. */
  async createToken(body: TokenRequest): Promise<NewTokenView> {
    return this.#post("/v1/tokens", body);
  }

  async revokeToken(name: string): Promise<void> {
    await this.#delete(`/v1/tokens/${encodeURIComponent(name)}`);
  }

  /** What is put after the API's address to let a browser in, once. */
  async signInLink(): Promise<SignInLinkView> {
    return this.#post("/v1/sign-in-links", {});
  }

  /** The epoch, the signing keys and the members. */
  async membership(): Promise<MembershipView> {
    return this.#get("/v1/membership");
  }

  /** Takes a new signing key. */
  async rotateKeys(body: RotateRequest): Promise<MembershipView> {
    return this.#post("/v1/membership/rotate", body);
  }

  async revokeMember(body: RevokeRequest): Promise<MembershipView> {
    return this.#post("/v1/membership/revoke", body);
  }

  /** Has the databases copied into a directory. @param dir absolute */
  async backup(dir: string): Promise<void> {
    await this.#call("POST", "/v1/backup", JSON.stringify({ dir }), BACKUP_MS);
  }

  /** Asks for the end; it has not come yet when this resolves. */
  async shutdown(now: boolean): Promise<void> {
    await this.#post("/v1/shutdown", { now });
  }

  async #get<Answer>(path: string, query: Query = {}): Promise<Answer> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
    return this.#call("GET", search.size === 0 ? path : `${path}?${search.toString()}`, undefined, this.#readMs);
  }

  async #post<Answer>(path: string, body: object): Promise<Answer> {
    return this.#call("POST", path, JSON.stringify(body), CHANGE_MS);
  }

  async #delete<Answer>(path: string): Promise<Answer> {
    return this.#call("DELETE", path, undefined, CHANGE_MS);
  }

  async #call<Answer>(method: string, path: string, body: string | undefined, limitMs: number): Promise<Answer> {
    const { status, text } = await this.#exchange(method, path, body, limitMs);
    const answer = parsed(text);
    if (status >= 200 && status < 300 && answer !== undefined) return answer as Answer;
    return this.#refused(method, path, status, text);
  }

  #refused(method: string, path: string, status: number, text: string): never {
    const answer = parsed(text);
    if (hasError(answer)) throw errorFromBody(answer.error);
    throw new HoldoverError("INTERNAL", { problem: `${method} ${path} was answered with ${status} and no JSON.` });
  }

  /** @param take takes the body of a good answer as it comes; `text` is empty then */
  #exchange(
    method: string,
    path: string,
    body: string | undefined,
    limitMs: number,
    take?: (text: string) => void,
  ): Promise<{ status: number; text: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
    const fail = (error: unknown) => reject(this.#unreachable(error));
    const call = request({
      socketPath: this.#socket,
      // Without an agent the connection ends with the answer, and so can the process.
      agent: false,
      method,
      path,
      headers: {
        host: "holdover",
        accept: "application/json",
        ...(body !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
        ...(this.#actor !== undefined && { "holdover-actor": this.#actor }),
      },
    });
    const timer = setTimeout(() => {
      fail(new HoldoverError("CONTROL_BUSY", { problem: `it did not answer within ${formatDuration(limitMs)}.` }));
      call.destroy();
    }, limitMs);
    call.once("error", fail);
    call.once("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      if (take && response.statusCode === 200) {
        response.setEncoding("utf8").on("data", take);
      } else
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          chunks.push(chunk);
          if (bytes > MAX_ANSWER_BYTES) response.destroy(new Error(`the answer is over ${MAX_ANSWER_BYTES} bytes`));
        });
      response.once("error", fail);
      response.once("end", () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") });
      });
    });
    call.end(body);
    return promise.finally(() => clearTimeout(timer));
  }

  #unreachable(error: unknown): HoldoverError {
    if (error instanceof HoldoverError) return error;
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTSOCK") {
      if (hostRuns(this.#socket)) {
        const problem = "the host runs and is starting it again; if that lasts, see control.log.";
        return new HoldoverError("CONTROL_BUSY", { problem }, { cause: error });
      }
      return new HoldoverError("NOT_RUNNING", { socket: this.#socket }, { cause: error });
    }
    return new HoldoverError("CONTROL_BUSY", { problem: `${problemOf(error)}.` }, { cause: error });
  }
}

/** Whether the host of this control socket is alive: then control is away for a moment only. */
function hostRuns(socket: string): boolean {
  try {
    const pid = Number.parseInt(readFileSync(join(dirname(socket), "host.pid"), "utf8"), 10);
    return pid > 0 && process.kill(pid, 0);
  } catch {
    return false;
  }
}

function servicePath(service: string): string {
  return `/v1/services/${encodeURIComponent(service)}`;
}

function releasePath(service: string, release: string): string {
  return `${servicePath(service)}/releases/${encodeURIComponent(release)}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function hasError(answer: unknown): answer is { error: ErrorBody } {
  if (typeof answer !== "object" || answer === null || !("error" in answer)) return false;
  const { error } = answer;
  return typeof error === "object" && error !== null && "code" in error && "what" in error;
}
