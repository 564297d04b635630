import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DEFAULT_WINDOW, HoldoverError } from "@holdover/core";
import * as fc from "fast-check";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import type { EndedSessionView } from "../api-client.ts";
import { fakeApi, NOW_MS, releaseView, serviceView, type FakeApi } from "../api-fixture.ts";
import { main } from "../main.ts";
import { policyText, readPolicy } from "../policy-option.ts";
import { fakeTerminal } from "../terminal-fixture.ts";

const HOUR_MS = 3_600_000;

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

let api: FakeApi;
beforeEach(async () => {
  api = await fakeApi("services:\n  rooms:\n    dir: build\n    command: node server.js\n");
  await api.start();
});
afterEach(async () => api.remove());

async function run(line: string) {
  const terminal = fakeTerminal({ cwd: api.dir, nowMs: NOW_MS });
  const exit = await main(line.split(" "), terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

async function trace(name: string, text: string): Promise<void> {
  await writeFile(join(api.dir, name), text);
}

/** Twenty sessions that end 1, 2 … 20 s after the deploy at 100 s; and one that ends 700 s after the one at 200 s. */
const SMALL = `${Array.from({ length: 20 }, (_, index) => `50,${51 + index}`).join("\n")}\n150,750\n200,1\n`;

describe("a trace", () => {
  beforeEach(async () => trace("calls.csv", `start_s,duration_s\n${SMALL}`));

  test("is played under each policy, and the table says what was cut, by whom, and how long releases were kept", async () => {
    const { exit, out } = await run(
      "simulate --trace calls.csv --every 100s --policy budget --policy budget:5%,ceiling=10s --policy fixed:15s",
    );
    expect(exit).toBe(0);
    expect(out.split("\n").map((line) => line.replaceAll(/ {2,}/g, "  "))).toEqual([
      "calls.csv: 22 sessions over 3m 20s, a deploy every 1m 40s",
      "  no forecast: fewer than 30 sessions had ended before any deploy",
      "",
      "POLICY  DEPLOYS  CUT  WORST  OVER  WINDOW  ×BEST  ALIVE  INST-H  80% HOLDS  ERROR",
      "budget  2  0.0%  0.0%  0  6m  1.00  4.6 / 2  0.2  –  –",
      "budget:5%,ceiling=10s  2  75.0%  100.0%  2 (ceiling 2)  10s  1.00  1.1 / 2  0.0  –  –",
      "fixed:15s  2  62.5%  100.0%  2  15s  0.04  1.1 / 2  0.0  –  –",
      "",
    ]);
  });

  test("without a policy is compared under the usual five", async () => {
    const { out } = await run("simulate --trace calls.csv --every 100s --json");
    const told = JSON.parse(out) as { policies: { name: string; budget: number; worstCut: number }[] };
    expect(out.trimEnd()).not.toContain("\n");
    expect(told).toMatchObject({ source: "calls.csv", sessions: 22, everyMs: 100_000, foldMs: null });
    expect(told.policies.map(({ name, budget, worstCut }) => [name, budget, worstCut])).toEqual([
      ["budget", 0, 0],
      ["budget:5%", 0.05, 0.05],
      ["quantile:P95", 0.05, 0],
      ["fixed:1h", 0.05, 0],
      ["until-empty", 0.05, 0],
    ]);
  });

  test("is folded where that is asked for", async () => {
    const { exit, out } = await run("simulate --trace calls.csv --every 60s --fold 150s");
    expect(exit).toBe(0);
    expect(out).toContain("calls.csv: 22 sessions folded to 2m 30s, a deploy every 1m");
  });

  test.each([
    ["--trace none.csv", "none.csv cannot be read: there is no such file"],
    ["--trace .", ". cannot be read: it is a directory"],
    ["--trace calls.csv --every 0", "argument '0' is invalid. Write a duration of 1s or more"],
    ["--trace calls.csv --fold 0s", "argument '0s' is invalid. Write a duration of 1s or more"],
    ["--trace calls.csv --every 201s", "calls.csv spans 3m 20s: no deploy falls into it at one every 3m 21s."],
    ["--trace calls.csv --fold 1m --every 100s", "calls.csv, folded, spans 1m: no deploy falls into it"],
    ["rooms --trace calls.csv", "--trace and a service exclude each other."],
    ["--trace calls.csv --html .", ". is a directory."],
    ["--trace calls.csv --html none/page.html", "none/page.html cannot be written"],
  ])("and options that mean nothing are refused with what to write: %s", async (words, problem) => {
    const { exit, out, err } = await run(`simulate ${words}`);
    expect({ exit, out }).toEqual({ exit: 2, out: "" });
    expect(err).toContain(problem);
    expect(err.trimEnd().split("\n")).toHaveLength(3);
    expect(err).toContain("USAGE_INVALID");
  });

  test.each([
    ["", "line 1: there is no session in it"],
    ["5,1\n4,1\n", "line 2: it begins before the line above"],
    ["0,-1\n", "line 1: a session of -1 s ends before it begins"],
    ["\u0000\u001b[2J", 'line 1: "\u0000\u001b[2J" is not start_s,duration_s'],
  ])("that is none is refused with the line: %j", async (text, problem) => {
    await trace("bad.csv", text);
    const { exit, out } = await run("simulate --trace bad.csv --json");
    expect(exit).toBe(2);
    expect((JSON.parse(out) as { error: { what: string } }).error.what).toBe(`bad.csv, ${problem}`);
  });

  test("whose sessions never meet a deploy gives a table without a number that is none", async () => {
    await trace("short.csv", "0,0\n8000,0\n");
    const { exit, out } = await run("simulate --trace short.csv");
    expect(exit).toBe(0);
    expect(out).toContain("no session was live at any deploy");
    expect(out).not.toMatch(/NaN|Infinity|undefined/);
  });

  test("that a deploy every second would take an hour to play is refused", async () => {
    await trace("long.csv", "0,10\n9000000,5\n");
    expect((await run("simulate --trace long.csv --every 1s")).err).toContain("at most 10000 are simulated");
  });
});

describe("a policy", () => {
  test.each([
    ["budget", DEFAULT_WINDOW],
    ["budget:5%", { policy: "budget", disruptionBudget: 0.05, floor: 0, ceiling: 24 * HOUR_MS }],
    ["budget:0.05,ceiling=8h", { policy: "budget", disruptionBudget: 0.05, floor: 0, ceiling: 8 * HOUR_MS }],
    ["budget:ceiling=8h", { policy: "budget", disruptionBudget: 0, floor: 0, ceiling: 8 * HOUR_MS }],
    ["budget:1", { policy: "budget", disruptionBudget: 1, floor: 0, ceiling: 24 * HOUR_MS }],
    ["quantile", { policy: "quantile", quantile: 0.95, factor: 1, floor: 0, ceiling: 24 * HOUR_MS }],
    [
      "quantile:p99.9,factor=1.5,floor=5m,ceiling=1d",
      { policy: "quantile", quantile: 0.999, factor: 1.5, floor: 300_000, ceiling: 24 * HOUR_MS },
    ],
    ["fixed:90m", { policy: "fixed", window: 1.5 * HOUR_MS, floor: 0 }],
    ["until-empty:floor=5m", { policy: "until-empty", floor: 300_000 }],
  ])("is read: %s", (text, policy) => {
    expect(readPolicy(text)).toEqual(policy);
  });

  test.each([
    ["", 'There is no policy ""'],
    ["__proto__", 'There is no policy "__proto__"'],
    ["budget:5", 'The budget "5" is no share. Write 0% to 100%'],
    ["budget:-1", 'The budget "-1" is no share'],
    ["budget:NaN", 'The budget "NaN" is no share'],
    ["budget:5%,5%", '"5%" is no setting of budget'],
    ["budget:5%,budget=6%", "budget is set twice"],
    ["budget:floor=10h,ceiling=8h", "The floor of 10h is above the ceiling of 8h."],
    ["budget:ceiling=0", "A ceiling of 0 ms keeps nothing."],
    ["budget:ceiling=", 'The ceiling "" is no duration'],
    ["quantile:1", '"1" is no quantile'],
    ["quantile:P100", '"P100" is no quantile'],
    ["quantile:P95,factor=0", 'The factor "0" is none'],
    ["fixed", "Write how long, for example fixed:1h."],
    ["fixed:soon", 'The window "soon" is no duration'],
    ["until-empty:5m", '"5m" is no setting of until-empty. It has floor=…'],
  ])("that means nothing is refused with what to write: %j", async (text, problem) => {
    const { exit, err } = await run(`simulate --trace calls.csv --policy ${text}`);
    expect(exit).toBe(2);
    expect(err).toContain(problem);
  });

  test("is written so that it is read back as the same one", () => {
    const span = fc.integer({ min: 0, max: 48 * HOUR_MS });
    const share = fc.integer({ min: 1, max: 999 }).map((many) => many / 1000);
    const policy = fc.oneof(
      fc.record({ policy: fc.constant("budget" as const), disruptionBudget: share, floor: span, ceiling: span }),
      fc.record({
        policy: fc.constant("quantile" as const),
        quantile: share,
        factor: fc.integer({ min: 1, max: 40 }).map((many) => many / 8),
        floor: span,
        ceiling: span,
      }),
      fc.record({ policy: fc.constant("fixed" as const), window: span, floor: span }),
      fc.record({ policy: fc.constant("until-empty" as const), floor: span }),
    );
    fc.assert(
      fc.property(policy, (given) => {
        fc.pre(!("ceiling" in given) || (given.ceiling > 0 && given.floor <= given.ceiling));
        expect(readPolicy(policyText(given))).toEqual(given);
      }),
    );
  });
});

describe("the page", () => {
  test("stands for itself: no script, nothing from elsewhere, and every text escaped", async () => {
    const name = "<img src=x onerror=alert(1)>&\"'.csv";
    await mkdir(join(api.dir, "out"));
    await trace(name, SMALL);
    const terminal = fakeTerminal({ cwd: api.dir, nowMs: NOW_MS });
    const words = ["simulate", "--trace", name, "--every", "100s", "--html", "out/page.html"];
    expect(await main(words, terminal)).toBe(0);
    const page = await readFile(join(api.dir, "out/page.html"), "utf8");
    expect(page).toContain("&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;.csv: 22 sessions");
    expect(page).not.toMatch(
      /<(img|script|link|iframe|object)\b| (src|href|style|on\w+)="|url\(|@import|NaN|undefined/,
    );
    expect(page).toMatch(/Content-Security-Policy" content="default-src 'none'; style-src 'sha256-[\w+/=]{44}'/);
    expect(page).toContain("prefers-color-scheme: dark");
  });

  test("draws each deploy under each policy, with what happened in its title, and what was over the budget apart", async () => {
    await trace("calls.csv", SMALL);
    await run("simulate --trace calls.csv --every 100s --policy until-empty --policy fixed:15s --html page.html");
    const page = await readFile(join(api.dir, "page.html"), "utf8");
    expect(page.match(/<svg viewBox/g)).toHaveLength(2);
    expect(page.match(/<g class="deploy">/g)).toHaveLength(2);
    expect(page.match(/<g class="deploy over">/g)).toHaveLength(2);
    expect(page).toContain(
      "<title>Deploy 1m 40s after the beginning\n20 live sessions, 5 cut (25.0%)\nwindow 15s; one who knows all: 19s</title>",
    );
    const count = (pattern: RegExp) => page.match(pattern)?.length;
    expect(count(/<(svg|g|section|table|tr)\b/g)).toBe(count(/<\/(svg|g|section|table|tr)>/g));
  });
});

describe("the history of a service", () => {
  const ended = (openedAtMs: number, lengthMs: number, fields: Partial<EndedSessionView> = {}) => ({
    service: "rooms",
    key: "a",
    release: "v1",
    instance: "rooms-v1-1",
    fence: 1,
    openedAtMs,
    endedAtMs: openedAtMs + lengthMs,
    reason: "hangup",
    connectionsClosed: 1,
    ...fields,
  });
  const begin = NOW_MS - 10 * HOUR_MS;

  beforeEach(() => {
    api.handlers.set("GET /v1/services/rooms", () => serviceView([releaseView("v1", "current")]));
    api.handlers.set("GET /v1/sessions", () => ({ sessions: [], matches: 0 }));
  });

  test("is played oldest first, with what is live as if it ended now, and says what it rests on", async () => {
    const sessions = [
      ended(begin + 9 * HOUR_MS, HOUR_MS),
      ended(begin + HOUR_MS, 2 * HOUR_MS, { reason: "cut" }),
      ended(begin, HOUR_MS),
    ];
    api.handlers.set("GET /v1/history", () => ({ sessions }));
    api.handlers.set("GET /v1/sessions", () => ({ sessions: [{ openedAtMs: begin + 3 * HOUR_MS }], matches: 1 }));
    const { exit, out } = await run("simulate --every 2h --policy until-empty");
    expect(exit).toBe(0);
    expect(out).toContain("rooms: 4 sessions over 9h, a deploy every 2h");
    expect(out).toContain(
      "  3 ended sessions, over 9h\n  1 live ones count as if they had ended with the last of these",
    );
    expect(out).toContain("  1 were moved, cut or lost: by themselves they would have lasted longer");
    // The deploy at 2 h waits an hour for the one that was cut, the one at 4 h waits six for the live one.
    expect(out).toMatch(/until-empty +2 +0\.0% +0\.0% +0 +3h 30m/);
    expect(api.calls.map(({ target }) => target)).toContain("/v1/history?service=rooms&limit=10000");
  });

  test("that is as long as the API gives is played from where nothing is missing any more", async () => {
    // They end from 3 h on; what ended before is not told. So the first deploy is at 3 h and not at 2 h.
    const sessions = [
      ended(begin, 6 * HOUR_MS),
      ...Array.from({ length: 9999 }, (_, index) => ended(begin + 2 * HOUR_MS + 3000 * index, HOUR_MS)),
    ];
    api.handlers.set("GET /v1/history", () => ({ sessions }));
    const { out } = await run("simulate --every 2h --json --policy until-empty");
    const told = JSON.parse(out) as { notes: string[]; policies: { deploys: number }[] };
    expect(told.notes[0]).toBe("the newest 10000 ended sessions, over 8h 19m");
    expect(told.policies[0]?.deploys).toBe(4);
  });

  test("that is too short for a deploy where it is as long as the API gives is refused with the way out", async () => {
    const sessions = Array.from({ length: 10_000 }, (_, index) => ended(begin + index, HOUR_MS));
    api.handlers.set("GET /v1/history", () => ({ sessions }));
    const { exit, err } = await run("simulate --every 1s");
    expect(exit).toBe(2);
    expect(err).toContain("rooms has so many sessions that no deploy falls into the newest 10000");
  });

  test("without a session is refused, and so is a service that there is not", async () => {
    api.handlers.set("GET /v1/history", () => ({ sessions: [] }));
    const none = await run("simulate");
    expect(none.exit).toBe(2);
    expect(none.err).toContain("No session of rooms has ended yet, so there is nothing to simulate.\nGive a trace");
    api.handlers.set("GET /v1/services/attic", () => new HoldoverError("SERVICE_UNKNOWN", { service: "attic" }));
    expect((await run("simulate attic")).err).toContain("SERVICE_UNKNOWN");
  });
});
