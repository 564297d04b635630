import { join } from "node:path";
import { REPOSITORY } from "@holdover/testkit/cluster";
import { callApi, type ClusterStatus } from "@holdover/testkit/cluster-api";
import { hostPidOf, processesOf, stateDirOf } from "@holdover/testkit/cluster-processes";
import { joinRoom } from "@holdover/testkit/room-client";
import { openLedger } from "@holdover/testkit/room-ledger";
import { afterEach, expect, test, vi } from "vitest";
import { endAll, start, type Started } from "./start-fixture.ts";

/** `npm start`, on the sample service, with a state and addresses of its own. */

vi.setConfig({ testTimeout: 60_000 });

afterEach(endAll);

const open = (status: ClusterStatus, release: string): number =>
  status.services[0]?.releases.find(({ id }) => id === release)?.sessions?.open ?? 0;

/** Where each room lives, by its name. */
async function places({ apiSocket }: Started): Promise<Map<string, string>> {
  const { sessions } = await callApi<{ sessions: Place[] }>(apiSocket, "GET", "/v1/sessions?service=rooms");
  return new Map(
    sessions.map(({ key, release, instance, fence }) => [key, `${release} ${instance}, placed ${fence} times`]),
  );
}

interface Place {
  readonly key: string;
  readonly release: string;
  readonly instance: string;
  readonly fence: number;
}

const nothingRuns = ({ directory }: Started): Promise<void> =>
  vi.waitFor(async () => expect(await processesOf(directory)).toEqual([]));

test("the sample service has visitors from the first seconds on, who stay on their release over a deploy", async () => {
  const started = await start();
  await started.until("five rooms are open on v1", (status) => open(status, "v1") >= 5);
  const before = await places(started);
  expect([...before.keys()].filter((key) => !/^sample-\d+$/.test(key))).toEqual([]);

  const releases = "/v1/services/rooms/releases";
  const dir = join(REPOSITORY, "examples/rooms-v2");
  await callApi(started.apiSocket, "POST", releases, { release: "v2", dir, then: { then: "promote" } });
  // Half of them last less than half a minute, but some of five longer than a deploy takes.
  await started.until("rooms are open on both releases", (status) => open(status, "v1") > 0 && open(status, "v2") > 0);
  const stayed = [...(await places(started))].filter(([key]) => before.has(key));
  expect(stayed.length).toBeGreaterThan(0);
  expect(stayed).toEqual(stayed.map(([key]) => [key, before.get(key)]));
});

test("visitors hang up when Holdover is told to stop, so that it waits for nobody and nobody is cut", async () => {
  const started = await start();
  await started.until("rooms are open", (status) => open(status, "v1") >= 3);
  await callApi(started.apiSocket, "POST", "/v1/shutdown", { now: false });
  expect(await started.exit).toEqual([0, null]);
  await nothingRuns(started);
  expect(started.output()).toMatch(/Waiting up to 25s for \d+ live connections/);
  expect(started.output()).toMatch(/^Stopped\. \d+ lingering sessions, with nobody connected/m);
  expect(started.output()).not.toMatch(/ by force/);
});

test("the first signal waits for a live session that is no visitor's, the second cuts it, and the exit code is 0", async () => {
  const started = await start(["--no-visitors"]);
  await started.until("v1 is current", ({ services }) => services[0]?.current === "v1");
  const [, url = ""] = /clients +(http:\S+)/.exec(started.output()) ?? [];
  const client = await joinRoom({ url, name: "ana", ledger: openLedger("lobby") });
  started.child.kill("SIGTERM");
  await started.wrote("Waiting up to 25s for 1 live connection to end.");
  expect(client.say("still here")).toBeTypeOf("number");
  started.child.kill("SIGINT");
  await started.wrote("Cutting 1 live connection");
  expect(await started.exit).toEqual([0, null]);
  client.destroy();
  await nothingRuns(started);
});

test("--no-visitors brings up the service alone, and says nothing of visitors", async () => {
  const started = await start(["--no-visitors"]);
  await started.until("v1 is current", ({ services }) => services[0]?.current === "v1");
  expect(await places(started)).toEqual(new Map());
  started.child.kill("SIGTERM");
  expect(await started.exit).toEqual([0, null]);
  expect(started.output()).toMatch(/is up\.[^]*Stopped\.\n$/);
  expect(started.output()).not.toContain("visitors");
});

test("other words go to holdover up, and what it ends with is what npm start ends with", async () => {
  const json = await start(["--json"]);
  await json.until("rooms are open", (status) => open(status, "v1") >= 1);
  json.child.kill("SIGTERM");
  expect(await json.exit).toEqual([0, null]);
  expect(JSON.parse(json.output())).toMatchObject({ ready: true });

  const wrong = await start(["--detatch"]);
  expect(await wrong.exit).toEqual([2, null]);
  expect(wrong.output()).toMatch(/Did you mean --detach\?[^]*USAGE_INVALID/);
});

test("when Holdover is killed it ends by the same signal, and so do the visitors", async () => {
  const started = await start();
  await started.until("rooms are open", (status) => open(status, "v1") >= 1);
  process.kill((await hostPidOf(stateDirOf(started.directory))) ?? Number.NaN, "SIGKILL");
  expect(await started.exit).toEqual([null, "SIGKILL"]);
});

test.runIf(process.platform === "linux")(
  "in a terminal v and Enter sends them home, and lets them come again",
  async () => {
    const started = await start([], { terminal: true });
    await started.wrote("v and Enter sends them home");
    await started.until("rooms are open", (status) => open(status, "v1") >= 3);
    started.child.stdin?.write("v\n");
    await started.wrote("the simulated visitors have left");
    await started.until("nobody is there", (status) => open(status, "v1") === 0);
    started.child.stdin?.write("v\n");
    await started.until("rooms are open again", (status) => open(status, "v1") >= 3);
    started.child.stdin?.write("\u0003");
    expect(await started.exit).toEqual([0, null]);
    expect(started.output()).toContain("Ctrl-C again cuts them.");
    expect(started.output()).not.toContain("Cutting");
    await nothingRuns(started);
  },
);
