import { HoldoverError } from "@holdover/core";
import { afterAll, afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ReleaseView } from "../api-client.ts";
import {
  DROP,
  fakeApi,
  instanceView,
  NOW_MS,
  releaseView,
  restartPlanView,
  type FakeApi,
  type Handler,
} from "../api-fixture.ts";
import { main } from "../main.ts";
import { fakeTerminal, type FakeTerminalOptions } from "../terminal-fixture.ts";

const RESTART = "/v1/services/rooms/restart";
const RELEASE = "/v1/services/rooms/releases/v1";

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

let api: FakeApi;
beforeEach(async () => {
  // It is 22:13:20 then.
  vi.stubEnv("TZ", "UTC");
  api = await fakeApi("services:\n  rooms:\n    dir: build\n    command: node server.js\n");
  await api.start();
  answer(`GET ${RESTART}`, restartPlanView());
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await api.remove();
});

async function run(line: string, options: Partial<FakeTerminalOptions> = {}) {
  const terminal = fakeTerminal({ cwd: api.dir, nowMs: NOW_MS, ...options });
  const exit = await main(line.split(" "), terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

function answer(route: string, ...answers: unknown[]): void {
  let next = 0;
  api.handlers.set(route, (call) => {
    const value = answers[Math.min(next++, answers.length - 1)];
    return typeof value === "function" ? (value as Handler)(call) : value;
  });
}

const posted = () => api.calls.filter(({ method }) => method === "POST").map(({ body }) => body);

/** The release with two instances, as it is when some of them have been replaced. */
function restarting(
  waiting: readonly string[],
  leaving: readonly string[],
  leavingSinceMs: number | null,
): ReleaseView {
  const sessions = { open: 2, lingering: 1, connections: 2, wedged: 0 };
  return releaseView("v1", "current", {
    instances: [...leaving, ...waiting].map((id) => instanceView(id, { sessions })),
    restart: {
      sinceMs: NOW_MS,
      batch: 1,
      waitMs: 600_000,
      graceMs: 30_000,
      waiting: [...waiting],
      leaving: [...leaving],
      leavingSinceMs,
    },
  });
}

const begun = restarting(["rooms-v1-2"], ["rooms-v1-1"], null);
const done = releaseView("v1", "current", { instances: [instanceView("rooms-v1-3"), instanceView("rooms-v1-4")] });

test("shows the plan, asks, begins, and tells each step until it is done", async () => {
  answer(`POST ${RESTART}`, begun);
  answer(
    `GET ${RELEASE}`,
    restarting(["rooms-v1-2"], ["rooms-v1-1"], NOW_MS),
    () => DROP,
    restarting([], ["rooms-v1-2"], NOW_MS - 600_000),
    restarting([], ["rooms-v1-2"], NOW_MS - 630_000),
    done,
  );
  const { exit, out, err } = await run("restart --grace 30s --no-color", { isTTY: true, input: "yes\n", columns: 100 });
  expect(out.split("\n")).toEqual([
    "Restart of rooms v1: 2 instances in 2 batches. The sessions of each may end by themselves for 10m,",
    "are then asked to move, and cut after another 30s.",
    "",
    "BATCH  INSTANCES   STARTS         MOVED  CONN  CLOSING TAKES",
    "    1  rooms-v1-1  now              3.2     4  10s",
    "    2  rooms-v1-2  in 10m 10s  all left     4  10s",
    "",
    "Takes about 20m 20s, 21m 40s if no session ended by itself.",
    "All that is left would be asked to move. Nobody would be cut; if none ended by itself, 3 sessions.",
    "Release v1 of rooms has been restarted.",
    "",
  ]);
  expect(exit).toBe(0);
  expect(posted()).toEqual([{ batch: 1, waitMs: 600_000, graceMs: 30_000 }]);
  expect(err).toContain("Type yes to go on: ");
  const steps = err
    .split(/\r|\n/)
    .map((line) => line.replace("\u001b[2K", ""))
    .filter((step) => step.startsWith("rooms v1"));
  expect([...new Set(steps)]).toEqual([
    "rooms v1: batch 1 of 2: replacements of rooms-v1-1 are starting; 3 live sessions",
    "rooms v1: batch 1 of 2: what is left on rooms-v1-1 is asked to move at 22:23:20; 3 live sessions",
    expect.stringMatching(/^rooms v1: batch 2 of 2: what is left on rooms-v1-2 is asked to move, and cut at 22:13:50/),
    "rooms v1: batch 2 of 2: what is left on rooms-v1-2 is cut; 3 live sessions",
  ]);
  expect(err.match(/The control process does not answer/g)).toHaveLength(1);
});

test("anything but yes changes nothing; without a terminal it takes --yes", async () => {
  answer(`POST ${RESTART}`, done);
  for (const input of ["no\n", "rooms\n", "\n", ""]) {
    const { exit, err } = await run("restart", { isTTY: true, input });
    expect(exit).toBe(4);
    expect(err).toContain("NOT_CONFIRMED");
  }
  for (const line of ["restart", "restart --json"]) {
    const nobody = await run(line, { isTTY: line.includes("json") });
    expect(nobody.exit).toBe(2);
    expect(nobody.out + nobody.err).toContain("Add --yes");
  }
  expect(posted()).toEqual([]);
  expect((await run("restart rooms --yes --batch 2 --wait 0s")).exit).toBe(0);
  expect(api.calls.at(-2)?.target).toBe(`${RESTART}?batch=2&waitMs=0`);
  expect(posted()).toEqual([{ batch: 2, waitMs: 0, graceMs: 30_000 }]);
});

test("--plan only shows it; what cannot work is refused with the numbers", async () => {
  const { exit, out, err } = await run("restart --plan");
  expect({ exit, err }).toEqual({ exit: 0, err: "" });
  expect(out).toContain("Takes about 20m 20s");
  expect(JSON.parse((await run("restart --plan --json")).out)).toEqual(restartPlanView());
  const problem = "40 connections are expected on rooms-v1-1; to close them takes 2m, and the grace is 30s";
  answer(`GET ${RESTART}`, new HoldoverError("RESTART_INFEASIBLE", { problem, remedy: "Set a grace of at least 2m." }));
  expect(await run("restart --yes")).toEqual({
    exit: 4,
    out: "",
    err: `This restart cannot work: ${problem}\nSet a grace of at least 2m.\nRESTART_INFEASIBLE\n`,
  });
  for (const line of ["restart --batch 0", "restart --batch 257", "restart --wait 8d", "restart --cancel --yes"]) {
    expect((await run(line)).exit).toBe(2);
  }
  expect(posted()).toEqual([]);
});

test("Ctrl-C leaves it going and says how to stop it, with exit 130", async () => {
  answer(`POST ${RESTART}`, begun);
  answer(`GET ${RELEASE}`, begun);
  const { exit, err } = await run("restart --yes", { onPause: (_, terminal) => terminal.interrupt() });
  expect(exit).toBe(130);
  expect(err).toBe(
    "rooms v1: batch 1 of 2: replacements of rooms-v1-1 are starting\n" +
      "The restart of v1 goes on. Stop it with `holdover restart rooms --cancel`.\n",
  );
});

test("one that somebody calls off, or a cutover ends, is told as such, with exit 1", async () => {
  answer(`POST ${RESTART}`, begun);
  const instances = [instanceView("rooms-v1-3"), instanceView("rooms-v1-2")];
  answer(`GET ${RELEASE}`, releaseView("v1", "current", { instances }));
  expect(await run("restart --yes")).toMatchObject({
    exit: 1,
    out: expect.stringContaining(
      "The restart of rooms is over: it was called off. 1 of 2 instances were not replaced.\n",
    ),
  });
  answer(`GET ${RELEASE}`, releaseView("v1", "retained", { instances }));
  expect((await run("restart --yes")).out).toContain("The restart of rooms is over: v1 is retained by now.");
  const json = await run("restart --yes --json");
  expect(JSON.parse(json.out)).toEqual(releaseView("v1", "retained", { instances }));
  expect(json).toMatchObject({ exit: 1, err: "" });
});

test("--cancel calls it off", async () => {
  answer(`DELETE ${RESTART}`, done);
  expect(await run("restart --cancel")).toMatchObject({
    exit: 0,
    out: "No restart of rooms v1 is under way any more: instances not replaced yet stay.\n",
  });
  expect(api.calls.map(({ method }) => method)).toEqual(["DELETE"]);
});
