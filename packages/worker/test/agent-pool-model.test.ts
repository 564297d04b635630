import assert from "node:assert/strict";
import { settled } from "@holdover/testkit/manual-clock";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { runPool, type RunningPool } from "./agent-pool-fixture.ts";

/** Whatever happens in whatever order, a pool keeps to its rules; the model knows only what was called and answered. */

const MOST = 3;
const MOST_OF_TENANT = 2;

type Step =
  | { readonly what: "offer"; readonly tenant: string | null; readonly agent: string }
  | {
      readonly what: "confirm" | "withdraw" | "finish" | "fail" | "move" | "cut" | "lose" | "break-link";
      readonly which: number;
    }
  | { readonly what: "admit"; readonly admits: "new" | "existing" | "none" }
  | { readonly what: "drain" | "cancel-drain" | "force" }
  | { readonly what: "time"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant("offer" as const),
      tenant: fc.constantFrom(null, "x", "y"),
      agent: fc.constantFrom("default", "default", "default", "echo", "echo", "unknown"),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constantFrom(
        "confirm",
        "confirm",
        "confirm",
        "withdraw",
        "finish",
        "fail",
        "fail",
        "move",
        "cut",
        "lose",
      ),
      which: fc.nat(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("break-link" as const), which: fc.constant(0) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant("admit" as const),
      admits: fc.constantFrom("new", "new", "new", "existing", "none"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constantFrom("drain", "cancel-drain", "cancel-drain", "cancel-drain") }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("time" as const), ms: fc.nat({ max: 3000 }) }) },
);

interface Accepted {
  readonly id: number;
  readonly key: string;
  readonly tenant: string | null;
}

/** What was called and answered, and what has to follow from it. */
class Model {
  readonly accepted: Accepted[] = [];
  readonly confirmed: (Accepted & { readonly fence: number })[] = [];
  /** Confirmed, and of those the pool has not told an end. */
  readonly #running: RunningPool;
  #offers = 0;
  drainedByWord = false;
  admits = true;
  forced = false;

  constructor(running: RunningPool) {
    this.#running = running;
  }

  live(): typeof this.confirmed {
    const ended = new Set(this.#running.ends.map(([key]) => key));
    return this.confirmed.filter(({ key }) => !ended.has(key));
  }

  async take(step: Step): Promise<void> {
    const { pool, dispatcher, clock } = this.#running;
    switch (step.what) {
      case "offer":
        this.#offer(step.tenant, step.agent);
        break;
      case "confirm": {
        const [job] = this.accepted.splice(step.which % (this.accepted.length || 1), 1);
        if (!job) break;
        // Accepted, so it runs: there is no way back.
        const session = dispatcher.confirm(job.id);
        assert.ok(session, `${job.key} was accepted and then refused`);
        this.confirmed.push({ ...job, fence: session.fence });
        break;
      }
      case "withdraw": {
        const [job] = this.accepted.splice(step.which % (this.accepted.length || 1), 1);
        if (job) dispatcher.withdraw(job.id);
        break;
      }
      case "break-link":
        this.accepted.length = 0;
        dispatcher.breakLink();
        break;
      case "finish":
      case "fail":
      case "move":
      case "cut":
      case "lose":
        await this.#end(step.what, step.which);
        break;
      case "admit":
        this.admits = step.admits === "new";
        dispatcher.admit(step.admits);
        break;
      case "drain":
        // Of an empty pool it would be the end of this run; that has a test of its own.
        if (this.accepted.length + this.live().length === 0) break;
        this.drainedByWord = true;
        pool.beginDrain();
        break;
      case "cancel-drain":
        if (pool.cancelDrain()) this.drainedByWord = false;
        break;
      case "force":
        this.forced = true;
        pool.force();
        break;
      case "time":
        await clock.advance(step.ms);
        break;
    }
    await settled();
    this.#compare();
  }

  #offer(tenant: string | null, agent: string): void {
    const { pool, dispatcher } = this.#running;
    this.#offers += 1;
    const key = `call-${this.#offers}`;
    const before = [...this.accepted, ...this.live()];
    const { failureLimit } = pool.runtimeSnapshot();
    const { id, answer } = dispatcher.offer({ key, tenant, agent });
    if (answer.accepted) {
      assert.ok(!(this.drainedByWord || !this.admits || this.forced));
      assert.notEqual(agent, "unknown");
      assert.ok(before.length < MOST);
      assert.ok(!(tenant !== null && before.filter((one) => one.tenant === tenant).length >= MOST_OF_TENANT));
      this.accepted.push({ id, key, tenant });
      return;
    }
    // Nothing is refused without its reason being true.
    const truth: Record<string, boolean> = {
      closed: this.#running.hasEnded() || pool.runtimeSnapshot().draining.phase === "drained",
      draining: this.drainedByWord || !this.admits || this.forced,
      "unknown-agent": agent === "unknown",
      failing: failureLimit !== "closed",
      full: before.length >= MOST,
      "tenant-full": tenant !== null && before.filter((one) => one.tenant === tenant).length >= MOST_OF_TENANT,
      "tenant-failing": tenant !== null && this.#running.ends.some(([, outcome]) => outcome === "failed"),
    };
    assert.deepEqual([answer.reason, truth[answer.reason]], [answer.reason, true]);
  }

  async #end(how: "finish" | "fail" | "move" | "cut" | "lose", which: number): Promise<void> {
    const live = this.live();
    const job = live[which % (live.length || 1)];
    if (!job) return;
    const { dispatcher, jobs } = this.#running;
    if (how === "finish") await jobs.get(job.key)?.finish();
    else if (how === "fail") await jobs.get(job.key)?.fail();
    else dispatcher.end(job, how === "move" ? "moved" : how === "cut" ? "cut" : "lost");
  }

  #compare(): void {
    const { pool, ends, starts, dispatcher } = this.#running;
    const now = pool.runtimeSnapshot();
    const live = this.live();
    assert.equal(now.sessions.reserved, this.accepted.length);
    assert.equal(now.sessions.active, this.accepted.length + live.length);
    assert.ok(now.sessions.active <= MOST);
    assert.equal(now.started, this.confirmed.length);
    assert.deepEqual(
      starts,
      this.confirmed.map(({ key }) => key),
    );
    const byAgent = Object.values(now.sessions.byAgent).reduce((sum, count) => sum + count, 0);
    assert.equal(byAgent, now.sessions.active);
    for (const count of Object.values(now.sessions.byTenant)) assert.ok(count <= MOST_OF_TENANT);
    // Exactly one outcome each, and the dispatcher is told each but those that it has placed elsewhere.
    assert.equal(new Set(ends.map(([key]) => key)).size, ends.length);
    assert.equal(now.completed + now.failed + now.cut + now.lost, ends.length);
    const told = dispatcher.finishedJobs.map(({ session, end }) => `${session.key} ${end}`);
    assert.deepEqual(
      told.toSorted(),
      ends.flatMap(([key, outcome]) => (outcome === "lost" ? [] : [`${key} ${outcome}`])).toSorted(),
    );
    const shouldDrain = this.drainedByWord || !this.admits;
    assert.equal(now.draining.phase === "none", !shouldDrain && !this.forced);
    const isOver = (this.drainedByWord || this.forced) && now.sessions.active === 0;
    assert.equal(now.draining.phase === "drained", isOver);
  }
}

test("a pool keeps to its rules, whatever comes in whatever order, and every job has exactly one end", async () => {
  let accepted = 0;
  let ended = 0;
  const refused = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 100, maxLength: 200 }), async (steps) => {
      const running = await runPool({
        maxConcurrentSessions: MOST,
        maxSessionsPerTenant: MOST_OF_TENANT,
        failureLimit: { inARow: 3, pauseMs: 2000 },
        tenantBreaker: { inARow: 2, pauseMs: 3000 },
        cutGrace: 1000,
      });
      const model = new Model(running);
      for (const each of steps) {
        await model.take(each);
        if (running.pool.runtimeSnapshot().draining.phase === "drained") break;
      }
      accepted += model.confirmed.length;
      // To its end, and by force: even agents that never return are over then.
      if (running.pool.runtimeSnapshot().draining.phase !== "drained") await model.take({ what: "force" });
      model.accepted.length = 0;
      await running.clock.advance(30_000);
      await running.ran;
      expect(model.live()).toEqual([]);
      expect(running.dispatcher.closed).toBe(true);
      ended += running.ends.length;
      for (const reason of Object.keys(running.pool.runtimeSnapshot().refused)) refused.add(reason);
    }),
    { numRuns: 150 },
  );
  // Else it would have shown nothing.
  expect(accepted).toBeGreaterThan(500);
  expect(ended).toBe(accepted);
  expect(refused.size).toBeGreaterThan(4);
});
