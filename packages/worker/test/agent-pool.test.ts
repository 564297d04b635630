import { settled } from "@holdover/testkit/manual-clock";
import { describe, expect, test } from "vitest";
import { AgentPool, type AgentPoolOptions, type JobDesk } from "../src/index.ts";
import { runPool, silentDispatcher, type RunningPool } from "./agent-pool-fixture.ts";

async function start(running: RunningPool, ...keys: string[]): Promise<void> {
  for (const key of keys) expect(await running.dispatcher.ask({ key })).toMatchObject({ taken: true });
  await settled();
}

/** Ends it whatever is left, so that nothing stays behind. */
async function over(running: RunningPool): Promise<void> {
  running.pool.force();
  await running.clock.advance(30_000);
  await running.ran;
}

const kinds = ({ audit }: RunningPool) => audit.map(({ kind }) => kind);

describe("a job", () => {
  test("is given its session, payload and who it is for, and ends when its agent returns", async () => {
    const running = await runPool();
    const { dispatcher, clock } = running;
    const job = { key: "call-1", agent: "echo", tenant: "acme", label: "short", payload: { url: "ws://x" } };
    const told = await dispatcher.ask(job);
    expect(told).toEqual({ taken: true, session: { key: "call-1", fence: 1 } });
    await settled();
    const { agent, tenant, payload, session, signal, finishing } = running.held("call-1").job;
    expect({ agent, tenant, payload }).toEqual({ agent: "echo", tenant: "acme", payload: { url: "ws://x" } });
    expect(session).toEqual({ key: "call-1", fence: 1, label: "short", openedAtMs: 0 });
    expect([signal.aborted, finishing.aborted]).toEqual([false, false]);
    expect(running.pool.runtimeSnapshot()).toMatchObject({
      version: "v1",
      draining: { phase: "none", sinceMs: null, by: null, deadlineMs: null },
      sessions: { active: 1, reserved: 0, byAgent: { echo: 1 }, byTenant: { acme: 1 } },
      started: 1,
      etaMs: null,
    });
    await clock.advance(500);
    await running.held("call-1").finish();
    expect(dispatcher.finishedJobs).toEqual([{ session: { key: "call-1", fence: 1 }, end: "completed" }]);
    expect([running.starts, running.ends]).toEqual([["call-1"], [["call-1", "completed"]]]);
    expect(running.pool.runtimeSnapshot()).toMatchObject({
      sessions: { active: 0, byAgent: {}, byTenant: {} },
      started: 1,
      completed: 1,
      etaMs: clock.now(),
    });
    expect(running.pool.runtimeSnapshot().residentBytes).toBeGreaterThan(1_000_000);
    await over(running);
  });

  test("that throws, at once or later, has failed, and nothing else is hurt", async () => {
    const running = await runPool({
      agents: {
        default: () => {
          throw new Error("at once");
        },
      },
    });
    await start(running, "a");
    expect(running.ends).toEqual([["a", "failed"]]);
    expect(running.dispatcher.finishedJobs).toMatchObject([{ end: "failed" }]);
    expect(running.logged).toEqual(['session.failed {"key":"a","agent":"default","problem":"at once"}']);
    await over(running);
  });

  test("gets what is made of its session, and has failed where that cannot be made", async () => {
    const given: unknown[] = [];
    const options: Partial<AgentPoolOptions<string>> = {
      sessionOf: async ({ key }) => {
        if (key === "bad") throw new Error("no such session");
        return `session ${key}`;
      },
      agents: { default: async ({ session }) => void given.push(session) },
    };
    const running = await runPool(options as unknown as Partial<AgentPoolOptions>);
    await start(running, "good", "bad");
    expect(given).toEqual(["session good"]);
    expect(running.ends).toEqual([
      ["good", "completed"],
      ["bad", "failed"],
    ]);
    await over(running);
  });
});

describe("admission", () => {
  test("keeps a slot from the acceptance on, and a withdrawal frees it", async () => {
    const running = await runPool({ maxConcurrentSessions: 2 });
    const { dispatcher } = running;
    const first = dispatcher.offer({ key: "a" });
    const second = dispatcher.offer({ key: "b" });
    expect([first.answer, second.answer]).toEqual([{ accepted: true }, { accepted: true }]);
    expect(dispatcher.offer({ key: "c" }).answer).toEqual({ accepted: false, reason: "full" });
    dispatcher.withdraw(first.id);
    const third = dispatcher.offer({ key: "c" });
    expect(third.answer).toEqual({ accepted: true });
    expect(dispatcher.confirm(third.id)).toMatchObject({ key: "c" });
    expect(dispatcher.offer({ key: "d" }).answer).toEqual({ accepted: false, reason: "full" });
    expect(running.pool.runtimeSnapshot()).toMatchObject({
      sessions: { active: 2, reserved: 1 },
      started: 1,
      refused: { full: 2 },
    });
    await over(running);
  });

  test("refuses an agent that there is not, also by a name that every object has", async () => {
    const running = await runPool();
    for (const agent of ["other", "constructor", "__proto__"]) {
      expect(running.dispatcher.offer({ key: "a", agent }).answer).toEqual({
        accepted: false,
        reason: "unknown-agent",
      });
    }
    await over(running);
  });

  test("limits each tenant by itself, and those without one not at all", async () => {
    const running = await runPool({ maxSessionsPerTenant: 1 });
    const answer = (key: string, tenant: string | null) => running.dispatcher.offer({ key, tenant }).answer;
    expect([answer("a", "x"), answer("b", "x"), answer("c", "y"), answer("d", null), answer("e", null)]).toEqual([
      { accepted: true },
      { accepted: false, reason: "tenant-full" },
      { accepted: true },
      { accepted: true },
      { accepted: true },
    ]);
    await over(running);
  });

  test("stops after failures in a row, tries one after the pause, and goes on when that one succeeds", async () => {
    const running = await runPool({ failureLimit: { inARow: 2, pauseMs: 1000 }, tenantBreaker: null });
    const { dispatcher, clock, pool } = running;
    await start(running, "a", "b", "c");
    await running.held("a").fail();
    await running.held("b").fail();
    expect(dispatcher.offer({ key: "d" }).answer).toEqual({ accepted: false, reason: "failing" });
    expect([pool.runtimeSnapshot().failureLimit, kinds(running)]).toEqual(["open", ["pool.failing"]]);
    await clock.advance(1000);
    const trial = dispatcher.offer({ key: "e" });
    expect(dispatcher.offer({ key: "f" }).answer).toEqual({ accepted: false, reason: "failing" });
    dispatcher.withdraw(trial.id);
    await start(running, "g");
    expect(dispatcher.offer({ key: "h" }).answer).toEqual({ accepted: false, reason: "failing" });
    await running.held("g").finish();
    expect([pool.runtimeSnapshot().failureLimit, dispatcher.offer({ key: "i" }).answer.accepted]).toEqual([
      "closed",
      true,
    ]);
    await over(running);
  });

  test("stops for a tenant that keeps failing, and for no other", async () => {
    const running = await runPool({ tenantBreaker: { inARow: 2, pauseMs: 1000 }, failureLimit: null });
    const { dispatcher } = running;
    for (const key of ["a", "b"]) {
      await dispatcher.ask({ key, tenant: "bad" });
      // It begins in a turn of its own.
      await new Promise((resolve) => setImmediate(resolve));
      await running.held(key).fail();
    }
    expect(dispatcher.offer({ key: "c", tenant: "bad" }).answer).toEqual({ accepted: false, reason: "tenant-failing" });
    expect(dispatcher.offer({ key: "d", tenant: "good" }).answer).toEqual({ accepted: true });
    expect(running.audit).toMatchObject([{ kind: "pool.tenant-failing", detail: { tenant: "bad" } }]);
    await over(running);
  });

  test("answers an offer that comes twice as the first time, and keeps one slot for it", async () => {
    const running = await runPool({ maxConcurrentSessions: 1 });
    let desk: JobDesk | undefined;
    const dispatcher = silentDispatcher({ open: async (given) => void (desk = given) });
    const pool = new AgentPool({
      agents: { default: async () => {} },
      dispatcher,
      deploymentVersion: "v1",
      maxConcurrentSessions: 1,
      signals: false,
      clock: running.clock,
    });
    const ran = pool.run();
    const offer = { id: 7, session: { key: "a", label: null }, agent: "default", tenant: null, payload: null };
    expect([desk?.offer(offer), desk?.offer(offer)]).toEqual([{ accepted: true }, { accepted: true }]);
    expect(pool.runtimeSnapshot().sessions.active).toBe(1);
    // Another job under the same number: whoever numbers them has begun anew, and knows nothing of the first.
    const other = { ...offer, session: { key: "b", label: null } };
    expect([desk?.offer(other), pool.runtimeSnapshot().sessions.active]).toEqual([{ accepted: true }, 1]);
    desk?.withdraw(7);
    desk?.withdraw(7);
    expect([desk?.confirm(7, { fence: 1, openedAtMs: 0 }), pool.runtimeSnapshot().sessions.active]).toEqual([false, 0]);
    pool.beginDrain();
    await ran;
    await over(running);
  });
});

describe("a drain", () => {
  test("takes nothing from the call on, runs what it has to its end, tells the dispatcher, and ends after the last", async () => {
    const running = await runPool();
    const { dispatcher, pool, clock } = running;
    await start(running, "a");
    const accepted = dispatcher.offer({ key: "b" });
    pool.beginDrain("a deploy");
    expect(dispatcher.offer({ key: "c" }).answer).toEqual({ accepted: false, reason: "draining" });
    await settled();
    expect(dispatcher.drains).toEqual([true]);
    expect(pool.runtimeSnapshot()).toMatchObject({
      draining: { phase: "draining", sinceMs: clock.now(), by: "call", deadlineMs: null },
      refused: { draining: 1 },
    });
    await clock.advance(86_400_000);
    expect(running.held("a").job.signal.aborted).toBe(false);
    await running.held("a").finish();
    expect(running.hasEnded()).toBe(false);
    expect(dispatcher.confirm(accepted.id)).toMatchObject({ key: "b" });
    await settled();
    await running.held("b").finish();
    await running.ran;
    expect([dispatcher.closed, pool.runtimeSnapshot().draining.phase]).toEqual([true, "drained"]);
    expect(running.ends).toEqual([
      ["a", "completed"],
      ["b", "completed"],
    ]);
    expect(running.audit.map(({ kind, reason }) => [kind, reason])).toEqual([
      ["pool.draining", "a deploy"],
      ["pool.drained", "the last session has ended"],
    ]);
    expect(running.exits).toEqual([]);
  });

  test("is over once the accepted job that it waited for was withdrawn", async () => {
    const running = await runPool();
    const { id } = running.dispatcher.offer({ key: "a" });
    running.pool.beginDrain();
    await settled();
    expect(running.hasEnded()).toBe(false);
    running.dispatcher.withdraw(id);
    await running.ran;
  });

  test("of a pool that was not run yet ends it at once", async () => {
    const { dispatcher, clock } = await runPool();
    const pool = new AgentPool({
      agents: {},
      dispatcher,
      deploymentVersion: "v1",
      maxConcurrentSessions: 1,
      signals: false,
      clock,
    });
    pool.beginDrain();
    await pool.run();
    await expect(pool.run()).rejects.toThrow("called before");
  });

  test("that is called off is none: jobs are taken again, and the next drain begins anew", async () => {
    const running = await runPool();
    const { dispatcher, pool, clock } = running;
    await start(running, "a");
    expect(pool.cancelDrain()).toBe(false);
    pool.beginDrain();
    await clock.advance(60_000);
    expect(pool.cancelDrain("rollback")).toBe(true);
    expect(dispatcher.offer({ key: "b" }).answer).toEqual({ accepted: true });
    expect(pool.runtimeSnapshot().draining).toEqual({ phase: "none", sinceMs: null, by: null, deadlineMs: null });
    await settled();
    expect([dispatcher.drains, kinds(running)]).toEqual([
      [true, false],
      ["pool.draining", "pool.drain-cancelled"],
    ]);
    await running.held("a").finish();
    expect(running.hasEnded()).toBe(false);
    await over(running);
  });

  test("that is called off too late, so that nothing comes any more, ends the pool all the same", async () => {
    const running = await runPool();
    await start(running, "a");
    running.pool.beginDrain();
    await settled();
    running.dispatcher.answers = () => Promise.reject(new Error("it was given up"));
    expect(running.pool.cancelDrain()).toBe(true);
    await settled();
    expect(running.pool.runtimeSnapshot().draining).toMatchObject({ phase: "draining", by: "call" });
    await running.held("a").finish();
    await running.ran;
    expect(kinds(running)).toEqual(["pool.draining", "pool.drain-cancelled", "pool.draining", "pool.drained"]);
  });

  test("begun by the release ends with a rollback, and does not end the pool, which is kept warm", async () => {
    const running = await runPool();
    const { dispatcher, pool } = running;
    dispatcher.admit("existing");
    expect(dispatcher.offer({ key: "a" }).answer).toEqual({ accepted: false, reason: "draining" });
    await settled();
    expect([running.hasEnded(), dispatcher.drains, pool.cancelDrain()]).toEqual([false, [], false]);
    dispatcher.admit("new");
    await start(running, "b");
    dispatcher.admit("none");
    await running.held("b").finish();
    expect([running.hasEnded(), pool.runtimeSnapshot().draining.by]).toEqual([false, "release"]);
    pool.beginDrain();
    await running.ran;
  });

  test("of a release that was never current is its start, and not told to the audit log", async () => {
    const running = await runPool();
    for (const admits of ["none", "new", "existing", "new"] as const) running.dispatcher.admit(admits);
    expect(kinds(running)).toEqual(["pool.draining", "pool.drain-cancelled"]);
    await over(running);
  });

  test("by word is not called off by a rollback, and called off by word it is the release's again", async () => {
    const running = await runPool();
    const { dispatcher, pool } = running;
    await start(running, "a");
    pool.beginDrain();
    dispatcher.admit("existing");
    dispatcher.admit("new");
    expect(pool.runtimeSnapshot().draining.phase).toBe("draining");
    dispatcher.admit("existing");
    expect(pool.cancelDrain()).toBe(true);
    expect(pool.runtimeSnapshot().draining).toMatchObject({ phase: "draining", by: "release" });
    dispatcher.admit("new");
    expect(pool.runtimeSnapshot().draining.phase).toBe("none");
    await over(running);
  });

  test("with a time of its own cuts what is left then, waits for it a little, and tells with the number", async () => {
    const running = await runPool({ drainTimeout: 60_000, cutGrace: 2000 });
    const { dispatcher, pool, clock } = running;
    dispatcher.deadline = clock.now() + 1000;
    await start(running, "ends", "returns", "ignores");
    pool.beginDrain();
    await clock.advance(59_999);
    await running.held("ends").finish();
    expect(running.held("returns").job.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(pool.runtimeSnapshot().draining.phase).toBe("forcing");
    expect([running.held("returns").job.signal.aborted, dispatcher.forcedEnds]).toEqual([
      true,
      [{ cut: 2, reason: "the time of the drain was over" }],
    ]);
    await running.held("returns").finish();
    expect(running.hasEnded()).toBe(false);
    await clock.advance(2000);
    await running.ran;
    expect(running.ends).toEqual([
      ["ends", "completed"],
      ["returns", "cut"],
      ["ignores", "cut"],
    ]);
    expect(dispatcher.finishedJobs.map(({ end }) => end)).toEqual(["completed", "cut", "cut"]);
    expect(running.audit.map(({ kind, detail }) => [kind, detail?.["cut"]])).toEqual([
      ["pool.draining", undefined],
      ["pool.forced", 2],
      ["pool.drained", 2],
    ]);
    // Late, and of no consequence.
    await running.held("ignores").fail();
    expect(pool.runtimeSnapshot()).toMatchObject({ started: 3, completed: 1, failed: 0, cut: 2 });
  });

  test("lasts as long as the release's window otherwise, also where that comes to be known late or is moved", async () => {
    const running = await runPool();
    const { dispatcher, pool, clock } = running;
    await start(running, "a");
    pool.beginDrain();
    await clock.advance(3_600_000);
    dispatcher.deadline = clock.now() + 60_000;
    await clock.advance(30_000);
    expect(pool.runtimeSnapshot().draining.deadlineMs).toBe(dispatcher.deadline);
    dispatcher.deadline += 60_000;
    // Until a little after it: who ends sessions by itself then is to come first.
    await clock.advance(91_999);
    expect(running.held("a").job.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(running.held("a").job.signal.aborted).toBe(true);
    await running.held("a").finish();
    await running.ran;
  });

  test("that is forced cuts what is confirmed meanwhile as well, and waits for no acceptance beyond its grace", async () => {
    const running = await runPool();
    const { dispatcher, pool, clock } = running;
    dispatcher.offer({ key: "never" });
    const late = dispatcher.offer({ key: "late" });
    pool.force();
    expect(pool.cancelDrain()).toBe(false);
    expect(dispatcher.confirm(late.id)).toMatchObject({ key: "late" });
    await clock.advance(5000);
    await running.ran;
    expect([running.ends, [...running.jobs]]).toEqual([[["late", "cut"]], []]);
  });
});

describe("a session that is ended from outside", () => {
  test("is asked to finish first, and its own end is its outcome", async () => {
    const running = await runPool();
    await start(running, "a");
    running.dispatcher.end({ key: "a", fence: 1 }, "moved");
    const { job } = running.held("a");
    expect([job.finishing.aborted, job.signal.aborted]).toEqual([true, false]);
    await running.held("a").finish();
    expect(running.ends).toEqual([["a", "completed"]]);
    await over(running);
  });

  test("by force is cut, and told so once", async () => {
    const running = await runPool();
    await start(running, "a");
    running.dispatcher.end({ key: "a", fence: 1 }, "cut");
    running.dispatcher.end({ key: "a", fence: 1 }, "lost");
    expect(running.held("a").job.signal.aborted).toBe(true);
    await running.held("a").fail();
    expect([running.ends, running.dispatcher.finishedJobs.map(({ end }) => end)]).toEqual([[["a", "cut"]], ["cut"]]);
    expect(running.pool.runtimeSnapshot()).toMatchObject({ failed: 0, cut: 1, failureLimit: "closed" });
    await over(running);
  });

  test("since it lives elsewhere is over here, and the dispatcher is told nothing that would end it there", async () => {
    const running = await runPool();
    await start(running, "a");
    running.dispatcher.end({ key: "a", fence: 1 }, "lost");
    await running.held("a").finish();
    expect([running.ends, running.dispatcher.finishedJobs]).toEqual([[["a", "lost"]], []]);
    await over(running);
  });

  test("under another fence is not this one", async () => {
    const running = await runPool();
    await start(running, "a");
    running.dispatcher.end({ key: "a", fence: 2 }, "cut");
    running.dispatcher.end({ key: "b", fence: 1 }, "cut");
    expect(running.held("a").job.signal.aborted).toBe(false);
    await over(running);
  });
});

describe("observers and the audit sink", () => {
  test("hurt no session, whatever they throw, and are waited for a little at the end", async () => {
    const seen: string[] = [];
    const running = await runPool({
      observers: [
        {
          onSessionStart: () => {
            throw new Error("start");
          },
          onSessionEnd: async () => Promise.reject(new Error("end")),
        },
        { onSessionStart: ({ key }) => void seen.push(key), onSessionEnd: () => new Promise(() => {}) },
      ],
      auditSink: () => {
        throw new Error("sink");
      },
    });
    await start(running, "a");
    await running.held("a").finish();
    expect(seen).toEqual(["a"]);
    expect(running.dispatcher.finishedJobs).toHaveLength(1);
    running.pool.beginDrain();
    await settled();
    expect(running.hasEnded()).toBe(false);
    await running.clock.advance(5000);
    await running.ran;
    expect(running.pool.runtimeSnapshot()).toMatchObject({ completed: 1, watcherFailures: 4 });
    expect(running.logged.filter((line) => line.includes('"observer"'))).toHaveLength(2);
    expect(running.logged.at(-1)).toBe('end.late {"who":"observers","after":"5s"}');
  });

  test("cannot change what a session is", async () => {
    const running = await runPool({
      observers: [{ onSessionStart: (session) => Object.assign(session, { key: "other" }) }],
    });
    await start(running, "a");
    await running.held("a").finish();
    expect(running.dispatcher.finishedJobs).toMatchObject([{ session: { key: "a" } }]);
    await over(running);
  });

  test("are told the error of a session that failed", async () => {
    const errors: unknown[] = [];
    const running = await runPool({ observers: [{ onSessionEnd: (_, __, error) => void errors.push(error) }] });
    await start(running, "a");
    const error = new Error("broke");
    await running.held("a").fail(error);
    expect(errors).toEqual([error]);
    await over(running);
  });
});

describe("a dispatcher", () => {
  test("that cannot be opened ends run() with what it threw", async () => {
    const running = await runPool();
    const dispatcher = silentDispatcher({ open: () => Promise.reject(new Error("no link")) });
    const pool = new AgentPool({
      agents: {},
      dispatcher,
      deploymentVersion: "v1",
      maxConcurrentSessions: 1,
      signals: false,
    });
    await expect(pool.run()).rejects.toThrow("no link");
    await over(running);
  });

  test("that never answers holds nothing up for long, and one that rejects is only logged", async () => {
    const running = await runPool();
    running.dispatcher.answers = () => new Promise(() => {});
    await start(running, "a");
    await running.held("a").finish();
    running.pool.beginDrain();
    await settled();
    await running.clock.advance(20_000);
    await running.ran;
    const other = await runPool();
    other.dispatcher.answers = () => Promise.reject(new Error("full disk"));
    await start(other, "a");
    await other.held("a").finish();
    other.pool.beginDrain();
    await other.ran;
    expect(other.logged.filter((line) => line.includes("full disk"))).toHaveLength(3);
  });

  test("that is away when an empty pool is to end does not hold it up", async () => {
    const running = await runPool();
    running.dispatcher.draining = () => new Promise(() => {});
    running.pool.beginDrain();
    await running.ran;
    expect(running.logged).toEqual([]);
  });

  test("is told the end of a session before it is closed", async () => {
    const running = await runPool();
    const { dispatcher } = running;
    await start(running, "a");
    const stored = Promise.withResolvers<void>();
    dispatcher.answers = () => stored.promise;
    running.pool.beginDrain();
    await running.held("a").finish();
    expect([dispatcher.finishedJobs.length, dispatcher.closed]).toEqual([1, false]);
    stored.resolve();
    await running.ran;
    expect(dispatcher.closed).toBe(true);
  });
});

test.each<[string, Partial<AgentPoolOptions>]>([
  ["maxConcurrentSessions", { maxConcurrentSessions: 0 }],
  ["maxConcurrentSessions", { maxConcurrentSessions: Number.NaN }],
  ["maxSessionsPerTenant", { maxSessionsPerTenant: 0.5 }],
  ["drainTimeout", { drainTimeout: -1 }],
  ["cutGrace", { cutGrace: Number.POSITIVE_INFINITY }],
  ["failureLimit.inARow", { failureLimit: { inARow: 0, pauseMs: 1 } }],
  ["tenantBreaker.pauseMs", { tenantBreaker: { inARow: 1, pauseMs: -1 } }],
])("%s of %j is refused", async (name, differs) => {
  await expect(runPool(differs)).rejects.toThrow(new RegExp(`^${name} must be`));
});
