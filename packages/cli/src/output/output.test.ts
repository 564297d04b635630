import { HoldoverError } from "@holdover/core";
import { expect, test } from "vitest";
import { instanceView, NOW_MS, releaseView, serviceView, statusView } from "../api-fixture.ts";
import { configInvalid } from "../config/issue.ts";
import { linesAfter } from "../log-window.ts";
import { fakeTerminal } from "../terminal-fixture.ts";
import { failureLines } from "./failure.ts";
import { painter } from "./paint.ts";
import { createProgress } from "./progress.ts";
import { statusTree } from "./status-tree.ts";
import { table } from "./table.ts";

const plain = painter(false);
const pipe = { paint: plain, all: false, width: undefined };

test("the status tree shows releases newest first, what keeps each, and ? for what is not known", () => {
  const status = statusView([
    serviceView([
      releaseView("v0", "retired"),
      releaseView("v1", "retained", {
        sessions: { open: 1, lingering: 1, connections: 1 },
        retention: { deadlineMs: null, floorUntilMs: 0, why: "until empty: no session is ended by its age" },
        instances: [instanceView("rooms-v1-1", { sessions: { open: 1, lingering: 1, connections: 1 } })],
      }),
      releaseView("v2", "current", {
        sessions: { open: 1, lingering: 0, connections: 2 },
        instances: [
          instanceView("rooms-v2-1", { sessions: { open: 1, lingering: 0, connections: 2 } }),
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
  const retention = { deadlineMs: NOW_MS + 192_000, floorUntilMs: NOW_MS + 60_000, why: "fixed window of 1h" };
  const tree = statusTree(statusView([serviceView([releaseView("v1", "retained", { retention })])]), pipe).join("\n");
  expect(tree).toMatch(/kept until \d\d:\d\d:\d\d \(in 3m 12s\): fixed window of 1h/);
  expect(tree).toMatch(/warm for a rollback until \d\d:\d\d:\d\d/);
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
