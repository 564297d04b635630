import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { openExchange, type Agent, type CallOutcome, type Exchange } from "./calls.ts";
import { showProgress, type Progress } from "./progress.ts";
import type { Told } from "./story.ts";

/**
 * Calls with agents in them, at a steady pace, each a stream of audio in real time, over a deploy and the SIGTERM of one
 * worker. Not sound if a job was taken and did not run, a call lost a frame or was on a wrong release, or nobody took one.
 */

/** A call begins this often, ms. */
const PACE_MS = 120;
/** Calls last between these, ms. */
const SHORTEST_MS = 2000;
const LONGEST_MS = 8000;
/** How long calls come in before and after each event, ms. */
const TALK_MS = 3000;
const DRAIN_MS = 30_000;
const RETIRE_MS = 30_000;

interface Result {
  /** A job was answered as taken, and no agent came into its call. */
  acceptedThenRefused: number;
  /** Calls with an agent of another release than was answered, or than was current all the while they were opened. */
  onWrongRelease: number;
  /** Sent, and never came back. */
  framesLost: number;
  /** Came back as something else, twice, or out of turn. */
  framesChanged: number;
  /** Calls that broke off before the caller hung up. */
  brokenOff: number;
  /** Calls that no worker took. */
  notTaken: number;
  /** Sessions of the calls that ended in any other way than by hanging up. */
  otherEnds: number;
  calls: number;
  frames: number;
  /** Of a frame, there and back: the slowest percent, ms. */
  slowestPercentMs: number;
  /** Calls that were live on v1 when v2 took over, and on the worker when it got its SIGTERM. */
  liveAtDeploy: number;
  liveAtDrain: number;
  /** The worker ended by itself after its last call. */
  exitedByItself: boolean;
  retired: string[];
  seconds: number;
}

interface CallRecord {
  readonly name: string;
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly release: string;
  readonly instance: string;
  readonly agent: Agent | null;
  readonly outcome: CallOutcome | null;
}

interface Opened {
  readonly key: string;
  readonly release: string;
  readonly instance: string;
}

export async function tellAgents(out: NodeJS.WriteStream): Promise<Told> {
  const startedAt = performance.now();
  const exchange = await openExchange();
  const progress = showProgress(out, () => `${exchange.live()} calls live, ${exchange.echoed()} frames came back`);
  const cluster = await startCluster({
    services: {
      echo: {
        dir: join(REPOSITORY, "examples", "echo-agent"),
        release: "v1",
        command: ["node", "agent.ts"],
        instances: 2,
        health: { worker: true },
        retention: { policy: "until-empty", floor: "0s" },
      },
    },
  });
  try {
    return await tell(cluster, exchange, progress, startedAt);
  } finally {
    await cluster.stop();
    await exchange.close();
  }
}

async function tell(cluster: Cluster, exchange: Exchange, progress: Progress, startedAt: number): Promise<Told> {
  const callers = beginCalls(cluster, exchange);
  const faults = callers.faults;
  /** When a release was current for sure: answered calls of that time have to be on it. */
  const current: { release: string; fromMs: number; untilMs: number }[] = [];
  let drained = { instance: "", live: 0, exitedByItself: false };
  let liveAtDeploy = 0;
  const retired: string[] = [];

  await progress.step("holdover up: two workers that wait for jobs", async () => {
    await isCurrent(cluster, "v1");
    return "v1 is current";
  });
  await progress.step(`a call every ${PACE_MS} ms`, async () => {
    const fromMs = performance.now();
    callers.begin();
    await delay(TALK_MS);
    current.push({ release: "v1", fromMs, untilMs: performance.now() });
    return `${exchange.live()} calls live`;
  });
  await progress.step("holdover deploy echo --release v2", async () => {
    await cluster.succeed("deploy", "echo", "--release", "v2", "--dir", join(REPOSITORY, "examples", "echo-agent"));
    await isCurrent(cluster, "v2");
    current.push({ release: "v2", fromMs: performance.now(), untilMs: Number.POSITIVE_INFINITY });
    liveAtDeploy = callers.liveOn("v1");
    return `v2 is current, v1 keeps ${liveAtDeploy} calls`;
  });
  await progress.step("new calls", async () => {
    await delay(TALK_MS);
    return `${callers.liveOn("v2")} calls live on v2, ${callers.liveOn("v1")} on v1`;
  });
  await progress.step("SIGTERM to one worker of v2", async () => {
    drained = await drainOne(cluster, callers);
    return `${drained.instance} ran its ${drained.live} calls to hang-up and ended by itself`;
  });
  await progress.step("v1 retires after its last call", async () => {
    await isRetired(cluster, "v1");
    retired.push("v1");
    return "no session, no instance left on it";
  });
  await progress.step("everybody hangs up", async () => {
    await callers.end();
    return `${callers.records.length} calls, ${exchange.echoed()} frames`;
  });
  const otherEnds = await endsOtherThanHangup(cluster, callers.records.length, faults);

  const { records } = callers;
  const outcomes = records.flatMap(({ outcome }) => outcome ?? []);
  const sum = (of: (outcome: CallOutcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const wrong = records.filter((call) => isWrong(call, current));
  for (const { name, release, agent } of wrong) faults.push(`${name}: answered ${release}, agent of ${agent?.release}`);
  const result: Result = {
    acceptedThenRefused: records.filter(({ agent }) => agent === null).length,
    onWrongRelease: wrong.length,
    framesLost: sum(({ sent, echoed }) => sent - echoed),
    framesChanged: sum(({ changed }) => changed),
    brokenOff: outcomes.filter(({ brokeOff }) => brokeOff).length,
    notTaken: callers.notTaken(),
    otherEnds,
    calls: records.length,
    frames: sum(({ sent }) => sent),
    slowestPercentMs: exchange.slowestPercentMs(),
    liveAtDeploy,
    liveAtDrain: drained.live,
    exitedByItself: drained.exitedByItself,
    retired,
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
  };
  const { acceptedThenRefused, onWrongRelease, framesLost, framesChanged, brokenOff, notTaken } = result;
  const zeros = acceptedThenRefused + onWrongRelease + framesLost + framesChanged + brokenOff + notTaken + otherEnds;
  return {
    // Without live calls at the deploy and the drain it would have shown nothing.
    sound: zeros === 0 && result.exitedByItself && liveAtDeploy > 0 && drained.live > 0,
    result,
    faults: faults.slice(0, 20),
    summary: [
      `${result.calls} calls, ${result.frames} audio frames: ${framesLost} lost, ${framesChanged} changed, ` +
        `${brokenOff} calls broken off, ${acceptedThenRefused} taken and not run, ${onWrongRelease} on a wrong release.`,
      `A frame was back after ${result.slowestPercentMs} ms (slowest percent); ${liveAtDeploy} calls lived through the ` +
        `deploy, ${drained.live} through the drain; ${result.seconds} s in all.`,
    ],
  };
}

/** Calls at a steady pace, from begin() to end(). */
function beginCalls(cluster: Cluster, exchange: Exchange) {
  const records: CallRecord[] = [];
  const faults: string[] = [];
  const live = new Set<Opened>();
  const running = new Set<Promise<void>>();
  let pace: NodeJS.Timeout | undefined;
  let asked = 0;
  let notTaken = 0;

  const run = async (): Promise<void> => {
    asked += 1;
    const name = `call-${asked}`;
    // Spread evenly, and the same in every run.
    const ms = SHORTEST_MS + ((asked * 377) % 100) * 0.01 * (LONGEST_MS - SHORTEST_MS);
    const call = exchange.open(name);
    const askedAt = performance.now();
    const opened = await cluster
      .api<Opened>("POST", "/v1/services/echo/sessions", {
        key: name,
        agent: "echo",
        tenant: `tenant-${asked % 3}`,
        payload: { url: call.url },
      })
      .catch((thrown: unknown) => {
        notTaken += 1;
        faults.push(`${name}: ${String(thrown)}`);
        return null;
      });
    if (!opened) return;
    const answeredAt = performance.now();
    live.add(opened);
    const { release, instance } = opened;
    try {
      const agent = await call.agent;
      const outcome = await call.talk(ms);
      if (outcome.echoed < outcome.sent) faults.push(`${name} on ${instance}: ${JSON.stringify(outcome)}`);
      records.push({ name, askedAt, answeredAt, release, instance, agent, outcome });
    } catch (thrown) {
      faults.push(`${name} on ${instance}: ${String(thrown)}`);
      records.push({ name, askedAt, answeredAt, release, instance, agent: null, outcome: null });
    } finally {
      live.delete(opened);
    }
  };
  const start = (): void => {
    const one: Promise<void> = run().finally(() => running.delete(one));
    running.add(one);
  };
  return {
    records,
    faults,
    begin: () => {
      pace = setInterval(start, PACE_MS);
    },
    liveOn: (release: string): number => [...live].filter((one) => one.release === release).length,
    liveAt: (instance: string): number => [...live].filter((one) => one.instance === instance).length,
    notTaken: () => notTaken,
    end: async () => {
      clearInterval(pace);
      while (running.size > 0) await Promise.all(running);
    },
  };
}

/** SIGTERM to a worker, as an operator sends it, without a word to Holdover. */
async function drainOne(cluster: Cluster, callers: ReturnType<typeof beginCalls>) {
  const { services } = await cluster.status();
  const instances = services[0]?.releases.find(({ id }) => id === "v2")?.instances ?? [];
  const instance = instances.find(({ id }) => callers.liveAt(id) > 0)?.id;
  if (instance === undefined) throw new Error("no worker of v2 has a call");
  const live = callers.liveAt(instance);
  await cluster.kill({ instance }, "SIGTERM");
  await delay(TALK_MS);
  await cluster.until(
    `${instance} has ended`,
    async () => !(await cluster.instancePids()).has(instance) && callers.liveAt(instance) === 0,
    DRAIN_MS,
  );
  return { instance, live, exitedByItself: await endedByItself(cluster, instance) };
}

/** By its exit code: a process that was killed has none. */
async function endedByItself(cluster: Cluster, instance: string): Promise<boolean> {
  const { instances } = await cluster.api<{ instances: { id: string; problem: string | null }[] }>(
    "GET",
    "/v1/instances",
  );
  return instances.find(({ id }) => id === instance)?.problem === "exit code 0";
}

function isWrong(call: CallRecord, current: readonly { release: string; fromMs: number; untilMs: number }[]): boolean {
  if (!call.agent) return false;
  if (call.agent.release !== call.release || call.agent.instance !== call.instance) return true;
  const due = current.find(({ fromMs, untilMs }) => call.askedAt >= fromMs && call.answeredAt <= untilMs);
  return due !== undefined && due.release !== call.release;
}

async function endsOtherThanHangup(cluster: Cluster, calls: number, faults: string[]): Promise<number> {
  const ended = async () =>
    (await cluster.api<{ sessions: { key: string; reason: string }[] }>("GET", "/v1/history?service=echo&limit=10000"))
      .sessions;
  await cluster.until("every session has ended", async () => (await ended()).length >= calls);
  const others = (await ended()).filter(({ reason }) => reason !== "hangup");
  for (const { key, reason } of others) faults.push(`${key} ended as ${reason}`);
  return others.length;
}

function isCurrent(cluster: Cluster, release: string): Promise<unknown> {
  return cluster.until(`${release} is current`, ({ services }) => services[0]?.current === release);
}

function isRetired(cluster: Cluster, release: string): Promise<unknown> {
  return cluster.until(
    `${release} is retired`,
    ({ services }) => services[0]?.releases.some(({ id, state }) => id === release && state === "retired"),
    RETIRE_MS,
  );
}
