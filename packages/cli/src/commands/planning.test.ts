import { HoldoverError } from "@holdover/core";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  deployPlanView,
  fakeApi,
  forecastView,
  LENGTHS,
  NOW_MS,
  releaseView,
  serviceView,
  type FakeApi,
} from "../api-fixture.ts";
import { main } from "../main.ts";
import { fakeTerminal, type FakeTerminalOptions } from "../terminal-fixture.ts";

const MINUTE_MS = 60_000;
const SERVICE = "/v1/services/rooms";
const UTF8 = { LANG: "en_US.UTF-8" };

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

let api: FakeApi;
beforeEach(async () => {
  // It is 22:13:20 then.
  vi.stubEnv("TZ", "UTC");
  api = await fakeApi("services:\n  rooms:\n    dir: build\n    command: node server.js\n");
  await api.start();
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

const answer = (route: string, value: unknown) => api.handlers.set(route, () => value);

describe("forecast", () => {
  const forecasts = (...views: ReturnType<typeof forecastView>[]) => {
    for (const view of views) answer(`GET ${SERVICE}/releases/${view.release}/forecast`, view);
  };

  test("tells when a release retires, what its window does, and draws the curve", async () => {
    forecasts(forecastView("v1"));
    const { exit, out } = await run("forecast v1", { env: UTF8 });
    expect(exit).toBe(0);
    expect(`\n${out}`).toMatchInlineSnapshot(`
      "
      rooms v1 is retained: 12 sessions left, retires about 22:45 (80%: 22:33 to 23:18), from 1204 ended sessions, corrected by 34 past forecasts
      window (budget): kept until 22:45:20 (in 32m), as forecast; hard stop 2023-11-15 06:13:20; would cut no session

      sessions left   ⠒⠒ median   ░░ 80%
      12 ┤⠑⠢⡀
         │  ⠈⠑⢄⡀
      10 ┤    ░⠈⠢⢄░
         │       ░⠑⠢⡀░
         │          ⠈⠑⢄⡀░░
         │            ░⠈⠢⢄░░░░
       5 ┤               ░⠑⠢⡀░░░░░░
         │                  ⠈⠑⢄⡀░░░░░░░░░░
         │                    ░⠈⠉⠑⠒⠤⠤⣀⡀░░░░░░░░░░
         │                         ░░░⠈⠉⠑⠒⠤⠤⣀⣀░░░░░░░░░░░░░░░░░░░░░░░░░
         │                                ░░░░⠉⠑⠒⠢⠤⣀⣀⣀⣀⣀░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
       0 ┤                                        ░░░░░░⠉⠉⠉⠉⠉⠉⠉⠉⠑⠒⠒⠒⠒⠒⠒⠒⠒⠤⠤⠤⠤⠤⠤⠤⠤⢄⣀⣀⣀⣀
         └┬──────┬─────────┬──────────┬─────────┬──────────┬─────────┬─────────┬──────
          now  22:20     22:30      22:40     22:50      23:00     23:10     23:20
      "
    `);
  });

  test("draws in ASCII where the locale is not UTF-8, and LC_ALL counts first", async () => {
    forecasts(forecastView("v1"));
    for (const env of [{}, { LANG: "C" }, { ...UTF8, LC_ALL: "POSIX" }]) {
      const { out } = await run("forecast v1", { env });
      expect(out).toMatch(/^12 \+\*/m);
      expect(out).toMatch(/^[\n\x20-\x7e]*$/);
    }
    expect((await run("forecast v1", { env: { LC_ALL: "C.utf8", LANG: "C" } })).out).toContain("░");
  });

  test("keeps within the terminal and breaks its lines there", async () => {
    forecasts(forecastView("v1"));
    const { out } = await run("forecast v1 --no-color", { isTTY: true, columns: 50, env: UTF8 });
    const lines = out.trimEnd().split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBe(50);
    expect(lines.slice(0, 4)).toEqual([
      "rooms v1 is retained: 12 sessions left, retires",
      "  about 22:45 (80%: 22:33 to 23:18), from 1204",
      "  ended sessions, corrected by 34 past forecasts",
      "window (budget): kept until 22:45:20 (in 32m), as",
    ]);
    const sizeless = await run("forecast v1", { isTTY: true, columns: 0, env: UTF8 });
    expect(sizeless.out).toBe((await run("forecast v1", { isTTY: true, columns: 80, env: UTF8 })).out);
  });

  test("without a release takes every one that is retained, newest first, and the current one where there is none", async () => {
    const all = [releaseView("v1", "retained"), releaseView("v2", "expiring"), releaseView("v3", "current")];
    forecasts(forecastView("v1"), forecastView("v2"), forecastView("v3", { state: "current", retention: null }));
    answer(`GET ${SERVICE}`, serviceView(all));
    const both = await run("forecast rooms");
    expect(both.out.match(/^rooms v\d is/gm)).toEqual(["rooms v2 is", "rooms v1 is"]);
    answer(`GET ${SERVICE}`, serviceView(all.slice(2)));
    const current = await run("forecast");
    expect(current.out).toContain(
      "rooms v3 is current: 12 sessions hold it; if it were replaced now, it would retire about 22:45 (80%: 22:33 to 23:18)",
    );
    expect(current.out).toContain("What its window would do: `holdover plan deploy rooms`\n");
    answer(`GET ${SERVICE}`, serviceView([]));
    expect(await run("forecast")).toMatchObject({
      exit: 0,
      out: "Service rooms has no release with sessions to forecast.\n",
    });
  });

  test("says plainly why nobody can tell, and draws nothing then", async () => {
    const unknown = { retires: null, left: null };
    const why = "3 ended sessions are too few to tell how long they last (30 are needed)";
    const retention = {
      ...forecastView("v1").retention!,
      rule: "ceiling" as const,
      deadlineMs: NOW_MS + 8 * 60 * MINUTE_MS,
      wouldCut: null,
      retires: null,
      why: "12 of the 40 sessions live at the cutover are left, 0 may be cut",
    };
    const lengths = { ...LENGTHS, known: false, ends: 3, why };
    forecasts(forecastView("v1", { ...unknown, sessions: 1, lengths, retention }));
    expect((await run("forecast v1")).out.split("\n")).toEqual([
      `rooms v1 is retained: 1 session left; nobody can tell when it retires: ${why}`,
      "window (budget): kept until 2023-11-15 06:13:20 (in 8h); whom it would cut is not known",
      retention.why,
      "",
    ]);
    forecasts(forecastView("v1", { ...unknown, sessions: null }));
    expect((await run("forecast v1")).out).toMatch(
      /^rooms v1 is retained: nobody can tell when it retires, for its sessions cannot be counted now\n/,
    );
    forecasts(forecastView("v1", { ...unknown, sessions: 0 }));
    expect((await run("forecast v1")).out).toMatch(/^rooms v1 is retained: no session is left\n/);
  });

  test("is to the second where the end is near, and says where its late end was never seen", async () => {
    const retires = { lowMs: NOW_MS + 10_000, medianMs: NOW_MS + 30_000, highMs: NOW_MS + 90_000, known: false };
    forecasts(forecastView("v1", { retires, trials: 0 }));
    expect((await run("forecast v1")).out).toContain(
      "retires about 22:13:50 (80%: 22:13:30 to 22:14:50 or later), from 1204 ended sessions, not yet corrected by a past forecast\n",
    );
  });

  test("with --json is the API's answer: one object for a release, else an array", async () => {
    forecasts(forecastView("v1"));
    answer(`GET ${SERVICE}`, serviceView([releaseView("v1", "retained")]));
    expect(JSON.parse((await run("forecast rooms v1 --json")).out)).toEqual(forecastView("v1"));
    expect(JSON.parse((await run("forecast --json")).out)).toEqual([forecastView("v1")]);
    answer(
      `GET ${SERVICE}/releases/v9/forecast`,
      new HoldoverError("RELEASE_UNKNOWN", { service: "rooms", release: "v9", known: "v1" }),
    );
    expect(await run("forecast v9")).toMatchObject({ exit: 2, out: "" });
  });
});

describe("plan deploy", () => {
  test("tells how long the old release would live, whom it would cut, what it costs, and the cheapest hour", async () => {
    answer(`GET ${SERVICE}/deploy-plan`, deployPlanView());
    const { exit, out } = await run("plan deploy", { env: UTF8 });
    expect(exit).toBe(0);
    expect(`\n${out}`).toMatchInlineSnapshot(`
      "
      If rooms v1 were replaced now, with 12 sessions:
        lives     about 32m (80%: 20m to 1h 5m or later), from 1204 ended sessions
        window    budget, 8h at the most
        cuts      its end would cut about 0.3 sessions; the budget lets 1 session be cut
        overlap   about 0.83 instance-hours (80%: 0.51 to 2); 16 at the most (2 instances)
        cheapest  at 23:00: the old release would have lived 30m (mean of 4 days)

      DEPLOY AT  OLD LIVES  DAYS
      22:00             1h     5  ████████████████████████
      23:00            30m     4  ████████████
      00:00        unknown     0
      01:00        unknown     0
      02:00        unknown     0
      03:00        unknown     0
      04:00        unknown     0
      05:00        unknown     0
      06:00        unknown     0
      07:00        unknown     0
      08:00        unknown     0
      09:00        unknown     0
      10:00        unknown     0
      11:00        unknown     0
      12:00        unknown     0
      13:00        unknown     0
      14:00        unknown     0
      15:00        unknown     0
      16:00        unknown     0
      17:00        unknown     0
      18:00        unknown     0
      19:00        unknown     0
      20:00        unknown     0
      21:00        unknown     0
      "
    `);
    expect((await run("plan deploy")).out).toMatch(/^22:00 +1h +5 {2}#{24}$/m);
    expect(JSON.parse((await run("plan deploy --json")).out)).toEqual(deployPlanView());
  });

  test("shows hours as the clock on the wall does", async () => {
    vi.stubEnv("TZ", "Asia/Kolkata");
    answer(`GET ${SERVICE}/deploy-plan`, deployPlanView());
    const { out } = await run("plan deploy");
    expect(out).toContain("cheapest  at 04:30: the old release would have lived 30m (mean of 4 days)");
    expect(out).toMatch(/^03:30 +1h/m);
  });

  test("what is unknown is said to be, and why", async () => {
    const nothing = { oldLives: null, cutAtCeiling: null, instanceHours: null, cheapest: null };
    const why = "3 ended sessions are too few to tell how long they last (30 are needed)";
    const lengths = { ...LENGTHS, known: false, why };
    const window = { policy: "budget", rule: "ceiling", lastsMs: 28_800_000, why: "12 are left" } as const;
    answer(`GET ${SERVICE}/deploy-plan`, deployPlanView({ ...nothing, lengths, window, allowedCuts: 0 }));
    const { out } = await run("plan deploy");
    expect(out.split("\n").slice(1, 6)).toEqual([
      `  lives     unknown: ${why}`,
      "  window    budget, 8h at the most: 12 are left",
      "  cuts      how many its end would cut is unknown; the budget lets no session be cut",
      "  overlap   unknown; 16 at the most (2 instances)",
      "  cheapest  unknown: no hour of the days before tells",
    ]);
    const endless = { policy: "until-empty", rule: "empty", lastsMs: null, why: "until empty" } as const;
    answer(`GET ${SERVICE}/deploy-plan`, deployPlanView({ window: endless, instanceHoursMost: null, sessions: null }));
    const until = await run("plan deploy");
    expect(until.out).toContain("  lives     unknown: its sessions cannot be counted now\n");
    expect(until.out).toContain(
      "  window    until-empty, with no end: until empty\n  cuts      nobody: no window ends\n",
    );
  });
});

describe("prepare", () => {
  const release = releaseView("v1", "current", {
    lingerMs: 30 * MINUTE_MS,
    preparation: { fromMs: NOW_MS, untilMs: NOW_MS + 60 * MINUTE_MS, lingerMs: 10_000 },
  });
  const tail = [
    { afterMs: 0, normal: 1, prepared: 1 },
    { afterMs: MINUTE_MS, normal: 0.994, prepared: 0.42 },
    { afterMs: 15 * MINUTE_MS, normal: 0.6, prepared: 0.0312 },
    { afterMs: 60 * MINUTE_MS, normal: 0.0003, prepared: 0 },
    { afterMs: 90 * MINUTE_MS, normal: 0, prepared: 0 },
  ];

  test("tells how the linger falls, and what that spares until nothing is left", async () => {
    answer(`POST ${SERVICE}/prepare`, { release, tail });
    const { exit, out } = await run("prepare --in 1h --linger 10s");
    expect(exit).toBe(0);
    expect(out.split("\n")).toEqual([
      "The linger of rooms v1 falls from 30m to 10s by 23:13:20 (in 1h), in steps; no session lingers for less than it was promised.",
      "",
      "Share of the present sessions that would still hold v1 after a cutover:",
      "AFTER    LINGER 30m  LINGER 10s",
      "at once        100%        100%",
      "1m              99%         42%",
      "15m             60%        3.1%",
      "1h               0%          0%",
      "",
    ]);
    await run("prepare rooms --in 1h");
    await run("prepare --in 1s --linger 0s");
    expect(api.calls.map(({ body }) => body)).toEqual([
      { inMs: 3_600_000, lingerMs: 10_000 },
      { inMs: 3_600_000 },
      { inMs: 1000, lingerMs: 0 },
    ]);
    expect(JSON.parse((await run("prepare --in 1h --json")).out)).toEqual({ release, tail });
  });

  test("says so where nobody can tell what it spares", async () => {
    answer(`POST ${SERVICE}/prepare`, { release, tail: null });
    expect((await run("prepare --in 1h")).out).toContain(
      "\nWhat that spares cannot be told: no session is live, or too few have ended to know how long they last.\n",
    );
  });

  test("--cancel gives the normal linger back, and --in is needed without it", async () => {
    answer(`DELETE ${SERVICE}/prepare`, releaseView("v1", "current", { lingerMs: 30 * MINUTE_MS }));
    expect(await run("prepare --cancel")).toMatchObject({ exit: 0, out: "The linger of rooms v1 is 30m again.\n" });
    expect(await run("prepare")).toMatchObject({ exit: 2, err: expect.stringContaining("--in 1h") });
    for (const line of ["prepare --cancel --in 1h", "prepare --in 30d", "prepare --in 10ms", "prepare --in soon"]) {
      expect((await run(line)).exit).toBe(2);
    }
    expect(api.calls).toHaveLength(1);
  });
});
