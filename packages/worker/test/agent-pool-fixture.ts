import type { AuditDraft } from "@holdover/core";
import { ManualClock, settled } from "@holdover/testkit/manual-clock";
import { MemoryDispatcher } from "@holdover/testkit/memory-dispatcher";
import { AgentPool, type AgentPoolOptions, type Dispatcher, type Job, type SessionOutcome } from "../src/index.ts";

/** A job whose end the test decides. */
export interface HeldJob {
  readonly job: Job;
  finish(): Promise<void>;
  fail(error?: unknown): Promise<void>;
}

/** A pool that runs on a dispatcher in memory, on a clock of the test. */
export interface RunningPool {
  readonly pool: AgentPool;
  readonly dispatcher: MemoryDispatcher;
  readonly clock: ManualClock;
  /** By session key; of the agents that were called, in order. */
  readonly jobs: ReadonlyMap<string, HeldJob>;
  readonly audit: AuditDraft[];
  readonly logged: string[];
  readonly starts: string[];
  readonly ends: [string, SessionOutcome][];
  readonly exits: number[];
  readonly ran: Promise<void>;
  /** Whether run() has resolved. */
  hasEnded(): boolean;
  held(key: string): HeldJob;
}

/** A dispatcher from which nothing comes. */
export function silentDispatcher(over: Partial<Dispatcher>): Dispatcher {
  return {
    open: async () => {},
    draining: async () => {},
    finished: async () => {},
    forced: async () => {},
    deadlineMs: () => null,
    onAdmission: () => () => {},
    close: async () => {},
    ...over,
  };
}

export async function runPool(over: Partial<AgentPoolOptions> = {}): Promise<RunningPool> {
  const dispatcher = new MemoryDispatcher();
  const clock = new ManualClock();
  const jobs = new Map<string, HeldJob>();
  const audit: AuditDraft[] = [];
  const logged: string[] = [];
  const starts: string[] = [];
  const ends: [string, SessionOutcome][] = [];
  const exits: number[] = [];
  const hold = (job: Job): Promise<void> => {
    const end = Promise.withResolvers<void>();
    jobs.set(job.session.key, {
      job,
      finish: async () => {
        end.resolve();
        await settled();
      },
      fail: async (error = new Error("it broke")) => {
        end.reject(error);
        await settled();
      },
    });
    return end.promise;
  };
  const pool = new AgentPool({
    agents: { default: hold, echo: hold },
    dispatcher,
    deploymentVersion: "v1",
    maxConcurrentSessions: 100,
    signals: false,
    clock,
    exit: (code) => exits.push(code),
    log: (event, detail) => logged.push(`${event} ${JSON.stringify(detail)}`),
    auditSink: (entry) => audit.push(entry),
    observers: [
      {
        onSessionStart: ({ key }) => starts.push(key),
        onSessionEnd: ({ key }, outcome) => ends.push([key, outcome]),
      },
    ],
    ...over,
  });
  let hasEnded = false;
  const ran = pool.run().finally(() => (hasEnded = true));
  await settled();
  return {
    pool,
    dispatcher,
    clock,
    jobs,
    audit,
    logged,
    starts,
    ends,
    exits,
    ran,
    hasEnded: () => hasEnded,
    held(key) {
      const found = jobs.get(key);
      if (!found) throw new Error(`no agent was called for ${key}`);
      return found;
    },
  };
}
