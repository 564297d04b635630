import type { Clock } from "@holdover/core";
import type { BreakerSettings } from "./agent-breaker.ts";
import type { Agent, JobSession } from "./agent-job.ts";
import { nodeClock } from "./agent-process.ts";
import type { PoolAuditSink, PoolLog, PoolObserver } from "./agent-watchers.ts";
import type { Dispatcher } from "@holdover/core";

const LONGEST_MS = Number.MAX_SAFE_INTEGER;

export interface AgentPoolOptions<Session = JobSession> {
  /** What runs a session, by the name that a job asks for; `default` is asked for where none is named. */
  readonly agents: Readonly<Record<string, Agent<Session>>>;
  /** Where jobs come from. */
  readonly dispatcher: Dispatcher;
  /** Makes of a job's session what the agent is given; the session as it is unless set. Where it throws, the job failed. */
  readonly sessionOf?: (session: JobSession) => Session | Promise<Session>;
  /** The release that this process is of. */
  readonly deploymentVersion: string;
  /** Sessions that run at once at the most; 1 or more. */
  readonly maxConcurrentSessions: number;
  /** Of one tenant; null, or left out: as many as there is room for. */
  readonly maxSessionsPerTenant?: number | null;
  /** What is left of a drain after so long is cut, ms. Null, or left out: at the end of the release's retention window. */
  readonly drainTimeout?: number | null;
  /** Between the word that a session is over and giving up on an agent that does not return, ms; 5,000 unless set. */
  readonly cutGrace?: number;
  /** The pool takes nothing for a while after so many failures in a row; 10 and 30 s unless set, null: never. */
  readonly failureLimit?: BreakerSettings | null;
  /** The same for each tenant by itself; 5 and 60 s unless set, null: never. */
  readonly tenantBreaker?: BreakerSettings | null;
  readonly observers?: readonly PoolObserver[];
  readonly auditSink?: PoolAuditSink;
  /** One JSON object a line on standard error unless set. */
  readonly log?: PoolLog;
  /** SIGTERM and SIGINT drain it, a second one forces its end, and the process stays while it runs; true unless set. */
  readonly signals?: boolean;
  readonly clock?: Clock;
  /** Ends a process that agents which do not return would keep; `process.exit` unless set. */
  readonly exit?: (code: number) => void;
}

/** Options with nothing left out. */
export type CheckedOptions<Session> = Required<Omit<AgentPoolOptions<Session>, "auditSink">> & {
  readonly auditSink: PoolAuditSink | null;
};

/** @throws RangeError for a number that is out of its range */
export function checkedOptions<Session>(options: AgentPoolOptions<Session>): CheckedOptions<Session> {
  const {
    maxSessionsPerTenant = null,
    drainTimeout = null,
    cutGrace = 5000,
    failureLimit = { inARow: 10, pauseMs: 30_000 },
    tenantBreaker = { inARow: 5, pauseMs: 60_000 },
  } = options;
  mustBe("maxConcurrentSessions", options.maxConcurrentSessions, 1);
  if (maxSessionsPerTenant !== null) mustBe("maxSessionsPerTenant", maxSessionsPerTenant, 1);
  if (drainTimeout !== null) mustBe("drainTimeout", drainTimeout, 0);
  mustBe("cutGrace", cutGrace, 0);
  for (const [name, settings] of Object.entries({ failureLimit, tenantBreaker })) {
    if (settings === null) continue;
    mustBe(`${name}.inARow`, settings.inARow, 1);
    mustBe(`${name}.pauseMs`, settings.pauseMs, 0);
  }
  return {
    // A session as it is, where nothing makes another of it: then Session is JobSession.
    sessionOf: (session: JobSession) => session as Session,
    observers: [],
    log: logLine,
    signals: true,
    clock: nodeClock,
    exit: (code) => process.exit(code),
    auditSink: null,
    ...options,
    maxSessionsPerTenant,
    drainTimeout,
    cutGrace,
    failureLimit,
    tenantBreaker,
  };
}

function mustBe(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new RangeError(`${name} must be a whole number from ${least} to ${LONGEST_MS}`);
}

function logLine(event: string, detail: Readonly<Record<string, string | number>>): void {
  process.stderr.write(`${JSON.stringify({ event, ...detail })}\n`);
}
