import { HoldoverError } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ReleaseView } from "../api-client.ts";
import { instanceView, NOW_MS, releaseView, RETIRES, serviceView, statusView } from "../api-fixture.ts";
import { configInvalid } from "../config/issue.ts";
import { linesAfter } from "../log-window.ts";
import { fakeTerminal } from "../terminal-fixture.ts";
import { bar } from "./bar.ts";
import { failureLines } from "./failure.ts";
import { painter } from "./paint.ts";
import { createProgress } from "./progress.ts";
import { expectedSessions } from "./session-count.ts";
import { statusTree } from "./status-tree.ts";
import { table } from "./table.ts";
import { wrapped } from "./wrap.ts";

const plain = painter(false);
const pipe = { paint: plain, all: false, width: undefined };

const RETENTION = {
  policy: "fixed",
  rule: "fixed",
  hardStopMs: null,
  fromSessions: 0,
  wouldCut: null,
  retires: null,
} as const;

test("the status tree shows releases newest first, what keeps each, and ? for what is not known", () => {
  const status = statusView([
    serviceView([
      releaseView("v0", "retired"),
      releaseView("v1", "retained", {
        sessions: { open: 1, lingering: 1, connections: 1, wedged: 0 },
        retention: {
          ...RETENTION,
          deadlineMs: null,
          floorUntilMs: 0,
          why: "until empty: no session is ended by its age",
        },
        instances: [instanceView("rooms-v1-1", { sessions: { open: 1, lingering: 1, connections: 1, wedged: 0 } })],
      }),
      releaseView("v2", "current", {
        sessions: { open: 1, lingering: 0, connections: 2, wedged: 0 },
        instances: [
          instanceView("rooms-v2-1", { sessions: { open: 1, lingering: 0, connections: 2, wedged: 0 } }),
          instanceView("rooms-v2-2", { state: "lost", problem: "SIGKILL" }),
        ],
      }),
      releaseView("v3", "failed", { failure: { code: "GATE_FAILED", problem: "exit code 1", log: [] } }),
    ]),
    serviceView(
      [
        releaseView("9fceb02", "ramping", { service: "chat", percent: 10, sessions: null }),
        releaseView("1a2b3c4", "starting", { service: "chat", instancesWanted: 2, sessions: null }),
      ],
      { name: "chat", hosts: ["chat.example.com"], path: "/ws", sessions: null },
    ),
  ]);
  expect(`\n${statusTree(status, pipe).join("\n")}\n`).toMatchInlineSnapshot(`
    "
    Holdover 0.1.0  http://127.0.0.1:8080  table 7 in force  control up 1h

    rooms  any host /  3 live sessions
    ├─ v3             failed                    3m 12s ago
    │     GATE_FAILED: exit code 1
    ├─ v2             current   takes new       1 open, 0 lingering, 2 connections
    │  ├─ rooms-v2-1  ready                     1 open, 0 lingering, 2 connections
    │  └─ rooms-v2-2  lost                      SIGKILL
    ├─ v1             retained  takes existing  1 open, 1 lingering, 1 connection
    │  │  kept with no deadline: until empty: no session is ended by its age
    │  └─ rooms-v1-1  ready                     1 open, 1 lingering, 1 connection
    └─ v0             retired                   3m 12s ago

    chat  chat.example.com /ws  ? live sessions
    ├─ 1a2b3c4  starting     takes none  ? open, ? lingering, ? connections
    │     0/2 instances healthy, then promote
    └─ 9fceb02  ramping 10%  takes new   ? open, ? lingering, ? connections
    "
  `);
});

test("only the last two that are over are shown, unless all are asked for", () => {
  const over = ["v1", "v2", "v3", "v4"].map((id) => releaseView(id, id === "v2" ? "failed" : "retired"));
  const status = statusView([serviceView([...over, releaseView("v5", "current")])]);
  const few = statusTree(status, pipe).join("\n");
  expect(few).toContain("├─ v3");
  expect(few).not.toContain("v2");
  expect(few).toContain("└─ 2 more retired or failed: --all");
  expect(statusTree(status, { ...pipe, all: true }).join("\n")).toContain("└─ v1");
});

test("a sink of the audit log that fails is told of, one that does not is not", () => {
  const failing = {
    name: "file x",
    sentSeq: 3,
    backlog: 4,
    failure: { problem: "it\nis full", sinceMs: NOW_MS - 60_000 },
  };
  const auditSinks = [failing, { name: "stdout", sentSeq: 7, backlog: 0, failure: null }];
  const lines = statusTree(statusView([], { auditSinks }), { paint: painter(false), all: false, width: undefined });
  const told = lines.filter((line) => line.startsWith("Audit"));
  expect(told).toEqual(["Audit file x fails for 1m, 4 entries behind: it\u{FFFD}is full"]);
});

test("a host that is not linked, a table that is not in force and a shutdown are said first", () => {
  const router = { linked: false, address: null, closing: true, tableIssued: 8, tableInForce: null };
  expect(statusTree(statusView([], { router }), pipe)).toEqual([
    "Holdover 0.1.0  router address ?  table ? in force of 8  control up 1h",
    "The host is not linked to control: counts are not known.",
    "Shutting down: no new session is taken.",
    "",
    "No service yet: `holdover deploy` brings the first.",
  ]);
});

test("a deadline is told with the time that is left", () => {
  const retention = {
    ...RETENTION,
    deadlineMs: NOW_MS + 192_000,
    floorUntilMs: NOW_MS + 60_000,
    why: "fixed window of 1h",
  };
  const tree = statusTree(statusView([serviceView([releaseView("v1", "retained", { retention })])]), pipe).join("\n");
  expect(tree).toMatch(/kept until \d\d:\d\d:\d\d \(in 3m 12s\): fixed window of 1h/);
  expect(tree).toMatch(/warm for a rollback until \d\d:\d\d:\d\d/);
});

const MINUTE_MS = 60_000;

/** The lines under one release. */
function details(state: ReleaseView["state"], fields: Partial<ReleaseView>): string[] {
  const tree = statusTree(statusView([serviceView([releaseView("v1", state, fields)])]), pipe);
  return tree.slice(4).map((line) => line.trim());
}

describe("in UTC, at 22:13:20", () => {
  beforeEach(() => void vi.stubEnv("TZ", "UTC"));
  afterEach(() => void vi.unstubAllEnvs());

  const sessions = { open: 3, lingering: 0, connections: 3, wedged: 1 };
  const told = {
    ...RETENTION,
    policy: "budget",
    deadlineMs: RETIRES.medianMs,
    hardStopMs: NOW_MS + 480 * MINUTE_MS,
    floorUntilMs: 0,
    fromSessions: 1204,
    retires: RETIRES,
    why: "3 of the 40 sessions live at the cutover are left, 2 may be cut",
  } as const;

  test("a deadline that the forecast set is told once, with its interval, the hard stop and whom it cuts", () => {
    const retention = { ...told, rule: "forecast", wouldCut: 2 } as const;
    expect(details("retained", { sessions, retention })).toEqual([
      "kept until 22:45:20 (in 32m), 80%: 22:33 to 23:18",
      "from 1204 ended sessions; hard stop 2023-11-15 06:13:20; would cut 2 sessions",
    ]);
    const late = { ...retention, deadlineMs: NOW_MS + 1, retires: { ...RETIRES, known: false } };
    expect(details("retained", { sessions, retention: late })[0]).toBe(
      "kept until 22:13:20 (at any moment), 80%: 22:33 to 23:18 or later",
    );
  });

  test("beside any other deadline stands the forecast, and what is not known is said to be", () => {
    const { hardStopMs, why } = told;
    const retention = { ...told, rule: "ceiling", deadlineMs: hardStopMs, wouldCut: 1.26 } as const;
    expect(details("retained", { sessions, retention })).toEqual([
      `kept until 2023-11-15 06:13:20 (in 8h): ${why}`,
      "retires about 22:45 (80%: 22:33 to 23:18); would cut about 1.3 sessions",
    ]);
    expect(details("retained", { sessions, retention: { ...retention, retires: null, wouldCut: null } })[1]).toBe(
      "whom it would cut is not known",
    );
    const none = { open: 0, lingering: 0, connections: 0, wedged: 0 };
    const empty = {
      ...told,
      rule: "empty",
      deadlineMs: null,
      hardStopMs: null,
      wouldCut: 0,
      why: "no session is left",
    } as const;
    expect(details("retained", { sessions: none, retention: empty })).toEqual([
      "kept with no deadline: no session is left",
    ]);
  });

  test("in its grace a release says only when what is left is cut", () => {
    const atMs = NOW_MS + 20_000;
    const why = "its window is over: what is left is asked to move";
    const retention = {
      ...told,
      rule: "grace",
      deadlineMs: atMs,
      hardStopMs: atMs,
      wouldCut: 3,
      retires: null,
      why,
    } as const;
    expect(details("expiring", { sessions, retention })).toEqual([`kept until 22:13:40 (in 20s): ${why}`]);
  });

  test("wedged sessions are shown apart", () => {
    const tree = statusTree(statusView([serviceView([releaseView("v1", "retained", { sessions })])]), pipe);
    expect(tree.at(-1)).toContain("3 open, 1 of them wedged, 0 lingering, 3 connections");
  });

  test("a linger that is prepared is shown, while it falls and after", () => {
    const preparation = { fromMs: NOW_MS - MINUTE_MS, untilMs: NOW_MS + 59 * MINUTE_MS, lingerMs: 10_000 };
    expect(details("current", { lingerMs: 50_000, preparation })).toEqual([
      "linger 50s, falling to 10s by 23:12:20 (in 59m)",
    ]);
    expect(details("current", { lingerMs: 10_000, preparation: { ...preparation, untilMs: NOW_MS } })).toEqual([
      "linger 10s, prepared since 22:13:20",
    ]);
    expect(details("retired", { lingerMs: 10_000, preparation })).toEqual([]);
  });

  test("a restart under way says what happens to its batch and how many instances are left", () => {
    const leaving = ["a", "b", "c", "d", "e"];
    const restart = {
      sinceMs: NOW_MS - MINUTE_MS,
      batch: 5,
      waitMs: MINUTE_MS,
      graceMs: 30_000,
      waiting: ["f"],
      leaving,
      leavingSinceMs: null,
    };
    const since = (leavingSinceMs: number | null, waiting = restart.waiting) =>
      details("current", { restart: { ...restart, leavingSinceMs, waiting } });
    expect([...since(null), ...since(NOW_MS), ...since(NOW_MS - MINUTE_MS), ...since(0, [])]).toEqual([
      "restart: replacements of a, b, c and 2 more are starting; 1 more instance after that",
      "restart: what is left on a, b, c and 2 more is asked to move at 22:14:20; 1 more instance after that",
      "restart: what is left on a, b, c and 2 more is asked to move, and cut at 22:13:50; 1 more instance after that",
      "restart: what is left on a, b, c and 2 more is cut; the last batch",
    ]);
  });
});

test("an expected number is told no more exactly than it is known", () => {
  expect([0, 0.04, 0.96, 1, 2.44, 31.4, 12].map(expectedSessions)).toEqual([
    "no session",
    "fewer than 0.1 sessions",
    "about 1 session",
    "1 session",
    "about 2.4 sessions",
    "about 31 sessions",
    "12 sessions",
  ]);
});

test("prose is broken between words on a terminal, and never in a pipe", () => {
  expect(wrapped("one two three", "  ", 9)).toEqual(["one two", "  three"]);
  expect(wrapped("incomprehensible word", "  ", 9)).toEqual(["incomprehensible", "  word"]);
  expect(wrapped("one two three", "  ", undefined)).toEqual(["one two three"]);
});

test("a bar is as long as its share, to an eighth of a character where there are such", () => {
  expect([0, 0.5, 0.53, 1, 7, Number.NaN].map((share) => bar(share, 4, true))).toEqual([
    "",
    "██",
    "██▏",
    "████",
    "████",
    "",
  ]);
  expect([0, 0.5, 1].map((share) => bar(share, 4, false))).toEqual(["", "##", "####"]);
});

test("no line of the tree is wider than the terminal", () => {
  const id = `v${"1".repeat(60)}`;
  const failure = { code: "GATE_FAILED", problem: "x".repeat(200), log: [] };
  const release = releaseView(id, "current", { failure, instances: [instanceView(`rooms-${id}-1`)] });
  const lines = statusTree(statusView([serviceView([release], { hosts: ["h".repeat(90)] })]), { ...pipe, width: 80 });
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("a table aligns its columns, cuts only what may be cut, and hides nothing from a pipe", () => {
  const columns = [
    { title: "KEY", shrinks: true },
    { title: "CONN", align: "right" as const },
  ];
  const rows = [
    ["a".repeat(20), "7"],
    ["b", "12"],
  ];
  expect(table(columns, rows, plain, 16)).toEqual(["KEY         CONN", "aaaaaaaaa…     7", "b             12"]);
  expect(table(columns, rows, plain)[1]).toBe(`${"a".repeat(20)}     7`);
});

test("a session key that came from a client cannot move the cursor", () => {
  const [, row] = table([{ title: "KEY" }], [["\u001b[2Jroom\u009b1m\u202e"]], plain);
  expect(row).toBe("\uFFFD[2Jroom\uFFFD1m\uFFFD");
});

test("a mistake in a configuration is shown with its line and a caret on a terminal, and in three lines in a pipe", () => {
  const text = "services:\n  rooms:\n\tcomand: x\n";
  const one = { line: 3, column: 2, length: 6, problem: "unknown key `comand`", remedy: "Write `command`." };
  const error = configInvalid("holdover.yaml", text, [one]);
  expect(failureLines(error, fakeTerminal({ cwd: "/", isTTY: true }))).toEqual([
    "holdover.yaml:3:2: unknown key `comand`",
    " 3 |  comand: x",
    "   |  ^^^^^^",
    "Write `command`.",
    "CONFIG_INVALID",
  ]);
  expect(failureLines(error, fakeTerminal({ cwd: "/" }))).toEqual([
    "holdover.yaml:3:2: unknown key `comand`",
    "Write `command`.",
    "CONFIG_INVALID",
  ]);
  const two = configInvalid("holdover.yaml", text, [one, { ...one, line: 1, column: 1 }]);
  expect(failureLines(two, fakeTerminal({ cwd: "/" }))).toEqual([
    "holdover.yaml:3:2: unknown key `comand`. Write `command`.",
    "holdover.yaml:1:1: unknown key `comand`. Write `command`.",
    "Correct these 2 mistakes.",
    "CONFIG_INVALID",
  ]);
});

test("any other error is three lines: what happened, what to do next, its code", () => {
  const error = new HoldoverError("RELEASE_UNKNOWN", { service: "rooms", release: "v9", known: "v1" });
  expect(failureLines(error, fakeTerminal({ cwd: "/" }))).toEqual([
    "Service rooms has no release v9.",
    "Its releases: v1.",
    "RELEASE_UNKNOWN",
  ]);
});

test("progress redraws one line on a terminal and leaves none, and tells each step once in a pipe", () => {
  const screen = fakeTerminal({ cwd: "/", isTTY: true });
  const pipe = fakeTerminal({ cwd: "/" });
  for (const terminal of [screen, pipe]) {
    const progress = createProgress(terminal, false);
    progress.step("one");
    progress.step("one");
    progress.note("by the way");
    progress.step("two");
    progress.done();
  }
  const clear = "\r\u001b[2K";
  expect(screen.err()).toBe(`one${clear}by the way\ntwo${clear}`);
  expect(pipe.err()).toBe("one\nby the way\ntwo\n");
});

test("following a log gives each new line once, and says when lines may have gone by", () => {
  expect(linesAfter(["a", "b"], ["a", "b", "c"])).toEqual({ fresh: ["c"], gap: false });
  expect(linesAfter(["a", "b", "c"], ["b", "c", "d", "e"])).toEqual({ fresh: ["d", "e"], gap: false });
  expect(linesAfter(["a", "b"], ["a", "b"])).toEqual({ fresh: [], gap: false });
  expect(linesAfter([], ["a"])).toEqual({ fresh: ["a"], gap: false });
  expect(linesAfter(["x", "x"], ["x", "x", "x"])).toEqual({ fresh: ["x"], gap: false });
  expect(linesAfter(["a", "b"], ["y", "z"])).toEqual({ fresh: ["y", "z"], gap: true });
});
