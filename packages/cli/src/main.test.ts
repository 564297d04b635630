import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HoldoverError } from "@holdover/core";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  DROP,
  fakeApi,
  instanceView,
  liveSessionView,
  NOW_MS,
  releaseView,
  serviceView,
  statusView,
  type FakeApi,
  type Handler,
} from "./api-fixture.ts";
import type { ReleaseView } from "./api-client.ts";
import { main } from "./main.ts";
import { fakeTerminal, type FakeTerminal, type FakeTerminalOptions } from "./terminal-fixture.ts";

const CONFIG =
  "services:\n  rooms:\n    dir: build\n    command: node server.js\n    gate: { command: node check.js }\n";
const LIVE = { open: 2, lingering: 1, connections: 3, wedged: 0 };

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

let api: FakeApi;
beforeEach(async () => {
  api = await fakeApi(CONFIG);
  await api.start();
});
afterEach(async () => api.remove());

async function run(
  line: string,
  options: Partial<FakeTerminalOptions> = {},
): Promise<{ exit: number; out: string; err: string; terminal: FakeTerminal }> {
  const terminal = fakeTerminal({ cwd: api.dir, nowMs: NOW_MS, ...options });
  const exit = await main(line.split(" "), terminal);
  return { exit, out: terminal.out(), err: terminal.err(), terminal };
}

function answer(route: string, ...answers: unknown[]): void {
  let next = 0;
  api.handlers.set(route, (call) => {
    const value = answers[Math.min(next++, answers.length - 1)];
    return typeof value === "function" ? (value as Handler)(call) : value;
  });
}

const RELEASES = "/v1/services/rooms/releases";
const v1 = releaseView("v1", "current", { sessions: LIVE, currentAtMs: 1 });

describe("deploy", () => {
  const v2 = (state: ReleaseView["state"], fields: Partial<ReleaseView> = {}) => releaseView("v2", state, fields);
  const healthy = { instancesWanted: 2, instances: [instanceView("rooms-v2-1"), instanceView("rooms-v2-2")] };

  beforeEach(() => {
    answer("GET /v1/status", statusView([serviceView([v1])]));
    answer(`POST ${RELEASES}`, v2("starting"));
    answer(`GET ${RELEASES}/v1`, releaseView("v1", "retained", { sessions: LIVE }));
  });

  test("sends the section as it was written with an absolute directory, and tells each step until it is current", async () => {
    answer(
      `GET ${RELEASES}/v2`,
      v2("starting", { digest: null }),
      v2("starting", { instancesWanted: 2, instances: [instanceView("rooms-v2-1")] }),
      v2("starting", { instancesWanted: 2, instances: [instanceView("rooms-v2-1")] }),
      v2("starting", healthy),
      v2("ready"),
      v2("current"),
    );
    const { exit, out, err } = await run("deploy --release v2");
    expect(err.split("\n")).toEqual([
      "rooms v2: snapshot of /srv/rooms",
      "rooms v2: instances 1/2 healthy",
      "rooms v2: gate",
      "rooms v2: ready",
      "",
    ]);
    expect(out).toBe("Release v2 of rooms is current; v1 is retained with 3 live sessions.\n");
    expect(exit).toBe(0);
    const post = api.calls.find(({ method }) => method === "POST");
    expect(post?.body).toEqual({
      release: "v2",
      definition: { dir: "build", command: "node server.js", gate: { command: "node check.js" } },
      dir: join(api.dir, "build"),
      then: { then: "promote" },
    });
    expect(post?.actor).toMatch(/^\S+$/);
  });

  test("says that state may be lost by a rollback only where that was asked for", async () => {
    answer(`GET ${RELEASES}/v2`, v2("current", { currentAtMs: 1 }));
    await run("deploy --release v2 --allow-state-loss");
    await run("deploy --release v2");
    const bodies = api.calls.filter(({ method }) => method === "POST").map(({ body }) => body);
    expect(bodies[0]).toMatchObject({ release: "v2", allowStateLoss: true });
    expect(bodies[1]).not.toHaveProperty("allowStateLoss");
  });

  test("--dir is meant from the working directory, --ramp ends at ramping and --no-promote at ready", async () => {
    answer(`GET ${RELEASES}/v2`, v2("ready", { then: "ramp" }), v2("ramping", { then: "ramp", percent: 10 }));
    const ramp = await run("deploy rooms --release v2 --dir out --ramp 10%");
    expect(ramp.out).toBe("Release v2 of rooms takes 10% of the new sessions. Next: `holdover promote rooms v2`.\n");
    answer(`GET ${RELEASES}/v2`, v2("ready", { then: "wait" }));
    const wait = await run("deploy rooms --release v2 --no-promote");
    expect(wait.out).toBe(
      "Release v2 of rooms is ready and takes no session yet. Next: `holdover promote rooms v2`.\n",
    );
    expect(api.calls.filter(({ method }) => method === "POST").map(({ body }) => body)).toMatchObject([
      { dir: join(api.dir, "out"), then: { then: "ramp", percent: 10 } },
      { dir: join(api.dir, "build"), then: { then: "wait" } },
    ]);
  });

  test("a release that fails is told with its code, its reason and its last log lines, and exit 1", async () => {
    const failure = { code: "GATE_FAILED", problem: "check.js ended with 3", log: ["checking", "no room"] };
    answer(`GET ${RELEASES}/v2`, v2("starting"), v2("failed", { failure }));
    const { exit, out, err } = await run("deploy --release v2");
    expect({ exit, out }).toEqual({ exit: 1, out: "" });
    expect(err.trimEnd().split("\n").slice(1)).toEqual([
      "Release v2 of rooms failed: GATE_FAILED: check.js ended with 3",
      "  | checking",
      "  | no room",
      "Nothing else changed. Mend it and deploy again; the whole log: `holdover logs rooms v2`.",
      "RELEASE_FAILED",
    ]);
    const json = await run("deploy --release v2 --json");
    expect(JSON.parse(json.out)).toMatchObject({ error: { code: "RELEASE_FAILED", log: failure.log } });
    expect(json).toMatchObject({ exit: 1, err: "" });
  });

  test("with --json standard output is the final release and nothing else", async () => {
    answer(`GET ${RELEASES}/v2`, v2("starting"), v2("current"));
    const { exit, out, err } = await run("--json deploy --release v2");
    expect(JSON.parse(out)).toEqual(v2("current"));
    expect({ exit, err }).toEqual({ exit: 0, err: "" });
  });

  test("goes on when control is away or breaks off an answer for a moment, and says so once", async () => {
    const busy = new HoldoverError("CONTROL_BUSY", { problem: "it reads its stores" });
    answer(`GET ${RELEASES}/v2`, v2("starting"), () => DROP, busy, v2("current"));
    const { exit, err } = await run("deploy --release v2");
    expect(exit).toBe(0);
    expect(err.match(/The control process does not answer/g)).toHaveLength(1);
  });

  test("Ctrl-C leaves the deploy alone and says how to stop it, with exit 130", async () => {
    answer(`GET ${RELEASES}/v2`, v2("starting"));
    const { exit, err } = await run("deploy --release v2", { onPause: (_, terminal) => terminal.interrupt() });
    expect(exit).toBe(130);
    expect(err).toContain("The deploy of v2 goes on. Stop it with `holdover retire rooms v2`.\n");
  });

  test("a release that somebody retires meanwhile is told as such, with exit 4", async () => {
    answer(`GET ${RELEASES}/v2`, v2("starting"), v2("retired"));
    const { exit, err } = await run("deploy --release v2");
    expect(exit).toBe(4);
    expect(err).toContain("Release v2 is retired and cannot become current.");
  });

  test("a release that was retired comes back from its own copy, unless a directory is named", async () => {
    answer("GET /v1/status", statusView([serviceView([v2("retired"), v1])]));
    answer(`GET ${RELEASES}/v2`, v2("current"));
    await run("deploy --release v2");
    await run("deploy --release v2 --dir out");
    const [first, second] = api.calls.filter(({ method }) => method === "POST");
    expect(first?.body).toEqual({ release: "v2", then: { then: "promote" } });
    expect(second?.body).toMatchObject({ dir: join(api.dir, "out"), definition: { dir: "build" } });
  });

  test("what the API refuses keeps its own words and exit code, and is not tried again", async () => {
    answer(
      `POST ${RELEASES}`,
      new HoldoverError("RELEASE_EXISTS", { service: "rooms", release: "v2", state: "current" }),
    );
    const { exit, err } = await run("deploy --release v2");
    expect(exit).toBe(4);
    expect(err).toBe(
      "Service rooms already has a release v2; it is current.\nA release is immutable: deploy the new build under another id.\nRELEASE_EXISTS\n",
    );
    expect(api.calls.filter(({ method }) => method === "POST")).toHaveLength(1);
  });
});

describe("status -w", () => {
  const busyThenThere = () => {
    const one = statusView([serviceView([v1])]);
    const same = { ...one, nowMs: NOW_MS + 1000 };
    const other = statusView([serviceView([v1], { sessions: null })]);
    answer(
      "GET /v1/status",
      one,
      same,
      () => DROP,
      () => DROP,
      other,
    );
  };
  const until = (turns: number) => {
    let left = turns;
    return (_: number, terminal: FakeTerminal) => {
      left -= 1;
      if (left === 0) terminal.interrupt();
    };
  };

  test("into a pipe prints a block when something has changed, and STALE while control is away", async () => {
    busyThenThere();
    const { exit, out } = await run("status -w", { onPause: until(6) });
    expect(exit).toBe(0);
    const blocks = out.split("\n\n").filter((block) => !block.startsWith("rooms"));
    expect(blocks).toEqual([
      "Holdover 0.1.0  http://127.0.0.1:8080  table 7 in force  control up 1h",
      "STALE: control does not answer; what is above is 0ms old.",
      "Holdover 0.1.0  http://127.0.0.1:8080  table 7 in force  control up 1h",
    ]);
    expect(out.match(/3 live sessions/g)).toHaveLength(1);
    expect(out.match(/\? live sessions/g)).toHaveLength(1);
  });

  test("on a terminal redraws from the top, keeps what it knew under STALE, and gives the cursor back", async () => {
    busyThenThere();
    const { exit, out } = await run("status -w", { isTTY: true, onPause: until(3) });
    expect(exit).toBe(0);
    const screens = out.split("\u001b[H\u001b[2J");
    expect(screens).toHaveLength(4);
    expect(screens[0]).toBe("\u001b[?25l");
    expect(screens[3]).toMatch(/STALE: control does not answer; this is 0ms old\.[\s\S]*3 live sessions/);
    expect(out.endsWith("\u001b[?25h")).toBe(true);
  });

  test("with nothing to show yet it ends with NOT_RUNNING and exit 3", async () => {
    await api.stop();
    const { exit, err } = await run("status -w");
    expect(exit).toBe(3);
    expect(err).toMatch(/^No Holdover answers at .*control\.sock\.\n.*\nNOT_RUNNING\n$/);
  });
});

test("ramp and retire take the service or leave it out; with several services it has to be named", async () => {
  answer(`POST ${RELEASES}/v2/ramp`, releaseView("v2", "ramping", { percent: 10 }));
  answer(`POST ${RELEASES}/v2/retire`, releaseView("v2", "expiring", { sessions: null }));
  for (const line of ["ramp v2 10", "ramp rooms v2 10%"]) {
    expect(await run(line)).toMatchObject({ exit: 0, out: "Release v2 of rooms takes 10% of the new sessions.\n" });
  }
  expect(await run("retire v2 --now")).toMatchObject({
    out: "Release v2 of rooms is expiring with ? live sessions.\n",
  });
  expect(api.calls.map(({ body }) => body)).toEqual([{ percent: 10 }, { percent: 10 }, { now: true }]);
  await writeFile(
    join(api.dir, "holdover.yaml"),
    "services: { rooms: { command: x }, chat: { command: x, path: /c } }\n",
  );
  const { exit, err } = await run("ramp v2 10");
  expect(exit).toBe(2);
  expect(err).toContain("the services of holdover.yaml: rooms, chat");
});

test("promote takes the one release that waits, and asks for its name where several do", async () => {
  answer("GET /v1/services/rooms", serviceView([v1, releaseView("v2", "ready")]));
  answer(`POST ${RELEASES}/v2/promote`, releaseView("v2", "current"));
  expect(await run("promote")).toMatchObject({ exit: 0, out: "Release v2 of rooms is current.\n" });
  expect(await run("promote rooms v2")).toMatchObject({ exit: 0 });
  answer("GET /v1/services/rooms", serviceView([releaseView("v2", "ready"), releaseView("v3", "ramping")]));
  const { exit, err } = await run("promote rooms");
  expect(exit).toBe(2);
  expect(err).toContain("has several: v2, v3.");
});

describe("rollback", () => {
  beforeEach(() => {
    answer(
      "GET /v1/services/rooms",
      serviceView([releaseView("v1", "retained"), releaseView("v2", "current", { sessions: LIVE })]),
    );
    answer("POST /v1/services/rooms/rollback", v1);
  });
  const posted = () => api.calls.filter(({ method }) => method === "POST").map(({ body }) => body);

  test("lets sessions finish unless told otherwise, and asks nothing", async () => {
    const { exit, out } = await run("rollback --to v1", { isTTY: true });
    expect({ exit, out }).toEqual({
      exit: 0,
      out: "Release v1 of rooms is current; 3 live sessions of v2 finish there.\n",
    });
    expect(posted()).toEqual([{ sessions: "finish", to: "v1" }]);
  });

  test("cuts sessions only after the service's name was typed, or with --yes", async () => {
    const wrong = await run("rollback --sessions cut", { isTTY: true, input: "yes\n" });
    expect(wrong.exit).toBe(4);
    expect(wrong.err).toContain("This ends 3 live sessions of rooms. Type the name of the service to go on: ");
    expect(wrong.err).toContain("NOT_CONFIRMED");
    const nobody = await run("rollback --sessions cut");
    expect(nobody).toMatchObject({ exit: 2 });
    expect(nobody.err).toContain("Add --yes");
    expect(posted()).toEqual([]);
    expect((await run("rollback --sessions cut", { isTTY: true, input: "rooms\n" })).exit).toBe(0);
    expect((await run("rollback --sessions cut --yes")).exit).toBe(0);
    expect(posted()).toEqual([{ sessions: "cut" }, { sessions: "cut" }]);
  });
});

test("down tells the live sessions that are left and ends when the socket is gone", async () => {
  const closing = (open: number) =>
    statusView([serviceView([], { sessions: { open, lingering: 0, connections: open, wedged: 0 } })]);
  answer("POST /v1/shutdown", { accepted: true });
  answer("GET /v1/status", closing(2), closing(1), () => {
    void api.stop();
    return closing(0);
  });
  const { exit, out, err } = await run("down --now");
  expect(err.split("\n").slice(0, 3)).toEqual([
    "Shutting down: 2 live sessions left",
    "Shutting down: 1 live session left",
    "Shutting down: 0 live sessions left",
  ]);
  expect({ exit, out }).toEqual({ exit: 0, out: "Holdover has ended.\n" });
  expect(api.calls[0]?.body).toEqual({ now: true });
});

test("lists are aligned tables for a person and arrays for a script", async () => {
  const session = liveSessionView("lobby", {
    instance: null,
    fence: 4,
    state: "lingering",
    lingeringSinceMs: NOW_MS - 5000,
    connections: 0,
  });
  const over = { ...session, instance: "rooms-v1-1", endedAtMs: NOW_MS - 1000, reason: "hangup", connectionsClosed: 0 };
  answer("GET /v1/status", statusView([serviceView([v1, releaseView("v2", "starting", { sessions: null })])]));
  answer("GET /v1/instances", {
    instances: [instanceView("rooms-v1-1", { sessions: null }), instanceView("chat-a-1")],
  });
  answer("GET /v1/sessions", { sessions: [session], matches: 3 });
  answer("GET /v1/history", { sessions: [over] });
  expect((await run("releases rooms")).out).toBe(
    [
      "SERVICE  RELEASE  STATE     TAKES  LIVE  CONN  FOR     DIGEST",
      "rooms    v2       starting  none      ?     ?  3m 12s  0123456789ab",
      "rooms    v1       current   new       3     3  3m 12s  0123456789ab",
      "",
    ].join("\n"),
  );
  expect((await run("instances rooms")).out).toBe(
    [
      "INSTANCE    STATE  ADDRESS           PID  LIVE  CONN  FOR  PROBLEM",
      "rooms-v1-1  ready  127.0.0.1:41001  4711     ?     ?  1m",
      "",
    ].join("\n"),
  );
  expect((await run("sessions rooms --key lobby --search OBB --release v1 --limit 5")).out).toBe(
    [
      "SERVICE  KEY    RELEASE  INSTANCE  STATE         CONN  AGE     FENCE",
      "rooms    lobby  v1       none      lingering 5s     0  3m 12s      4",
      "",
    ].join("\n"),
  );
  expect(api.calls.at(-1)?.target).toBe("/v1/sessions?service=rooms&release=v1&key=lobby&search=OBB&limit=5");
  expect((await run("sessions --ended")).out).toMatch(/REASON +LENGTH +ENDED\n.* hangup +3m 11s +\d\d:\d\d:\d\d\n$/);
  expect(JSON.parse((await run("sessions --ended --json")).out)).toEqual([over]);
  expect((await run("sessions --limit 1")).err).toBe("There are 2 more: --limit.\n");
  expect((await run("sessions --ended --limit 1")).err).toBe("There may be more than these 1: --limit.\n");
  expect((await run("sessions --ended --search a")).err).toContain("--ended and --search exclude each other");
});

test("sessions shows labels, and since when any is wedged, only where there are some", async () => {
  const open = liveSessionView("a", { label: "support" });
  const wedged = liveSessionView("b", { wedgedSinceMs: NOW_MS - 90_000 });
  answer("GET /v1/sessions", { sessions: [open, wedged], matches: 2 });
  expect((await run("sessions")).out).toBe(
    [
      "SERVICE  KEY  RELEASE  INSTANCE    STATE  CONN  AGE     FENCE  LABEL    WEDGED",
      "rooms    a    v1       rooms-v1-1  open      1  3m 12s      1  support",
      "rooms    b    v1       rooms-v1-1  open      1  3m 12s      1           1m 30s",
      "",
    ].join("\n"),
  );
  const over = { ...open, endedAtMs: NOW_MS, reason: "hangup", connectionsClosed: 0 };
  answer("GET /v1/history", { sessions: [over] });
  expect((await run("sessions --ended")).out).toMatch(/ENDED +LABEL\n.*\d\d:\d\d:\d\d {2}support\n$/);
});

test("logs begins with the last lines of the current release and goes on with each new one", async () => {
  answer("GET /v1/services/rooms", serviceView([releaseView("v0", "retained"), v1]));
  answer(
    `GET ${RELEASES}/v1/log`,
    { lines: ["a", "b", "c"] },
    { lines: ["a", "b", "c", "d"] },
    { lines: ["c", "d", "e"] },
  );
  let turns = 0;
  const onPause = (_: number, terminal: FakeTerminal) => {
    turns += 1;
    if (turns === 3) terminal.interrupt();
  };
  expect(await run("logs -n 2 -f", { onPause })).toMatchObject({ exit: 0, out: "b\nc\nd\ne\n" });
  expect((await run("logs rooms v1 -n 7 --instance rooms-v1-1")).exit).toBe(0);
  expect(api.calls.at(-1)?.target).toBe(`${RELEASES}/v1/log?lines=7&instance=rooms-v1-1`);
});

test("audit tail follows by number; audit verify exits 1 where the chain is broken", async () => {
  const entry = (seq: number) => ({
    seq,
    hash: "",
    atMs: NOW_MS,
    kind: "release.current",
    actor: "operator:ana",
    reason: "asked",
    service: "rooms",
    release: "v2",
  });
  answer("GET /v1/audit", { entries: [entry(4), entry(5)] }, { entries: [] }, { entries: [entry(6)] });
  let turns = 0;
  const onPause = (_: number, terminal: FakeTerminal) => {
    turns += 1;
    if (turns === 3) terminal.interrupt();
  };
  const { out } = await run("audit tail -n 2 -f", { onPause });
  expect(out.match(/#\d {2}release\.current {2}rooms v2 {2}by operator:ana: asked/g)).toHaveLength(3);
  expect(api.calls.map(({ target }) => target)).toEqual([
    "/v1/audit?tail=2",
    "/v1/audit?after=5&limit=1000",
    "/v1/audit?after=5&limit=1000",
  ]);
  answer("GET /v1/audit/verify", { entries: 6, head: "abc", signed: null });
  expect(await run("audit verify")).toMatchObject({
    exit: 0,
    out: "The audit chain is whole: 6 entries, head abc, not signed yet\n",
  });
  answer("GET /v1/audit/verify", new HoldoverError("AUDIT_BROKEN", { seq: 3, problem: "it does not follow" }));
  expect((await run("audit verify")).exit).toBe(1);
});

test("wrong usage is exit 2 in three lines, with a guess at what was meant", async () => {
  expect(await run("statsu")).toMatchObject({
    exit: 2,
    err: "Unknown command 'statsu'.\nDid you mean status? See `holdover --help`.\nUSAGE_INVALID\n",
  });
  expect((await run("deploy --relase v2")).err).toMatch(
    /^Unknown option '--relase'\.\nDid you mean --release\? See `holdover deploy --help`\.\nUSAGE_INVALID\n$/,
  );
  expect((await run("ramp v2 500")).exit).toBe(2);
  expect((await run("deploy --release v2 --ramp 5 --no-promote")).exit).toBe(2);
  const json = await run("--json deploy");
  expect(JSON.parse(json.out)).toMatchObject({ error: { code: "USAGE_INVALID" } });
  expect(json.err).toBe("");
});

test("every command has help with examples and exit codes, within 80 columns", async () => {
  const { out } = await run("--help");
  const names = [...out.matchAll(/^ {2}([a-z]+) .*$/gm)]
    .map(([, name]) => name ?? "")
    .filter((name) => name !== "help");
  expect(names).toHaveLength(24);
  const commands = names.filter((name) => !["audit", "membership", "plan", "token"].includes(name));
  const parts = [
    "audit tail",
    "audit verify",
    "audit export",
    "token create",
    "token list",
    "token revoke",
    "membership show",
    "membership rotate",
    "membership revoke",
    "plan deploy",
  ];
  for (const line of [...commands, ...parts]) {
    const help = await run(`${line} --help`);
    expect(help.exit).toBe(0);
    expect(help.out).toMatch(/Examples:\n {2}\$ holdover [\s\S]*Exit codes: 0 done/);
    expect(Math.max(...help.out.split("\n").map((row) => row.length))).toBeLessThanOrEqual(80);
  }
});

test("colour is for terminals: not in a pipe, not with --no-color, not with NO_COLOR", async () => {
  answer("GET /v1/status", statusView([serviceView([v1])]));
  expect((await run("status", { isTTY: true })).out).toContain("\u001b[32mcurrent");
  const others = [
    await run("status"),
    await run("status --no-color", { isTTY: true }),
    await run("status", { isTTY: true, env: { NO_COLOR: "1" } }),
  ];
  for (const { out } of others) expect(out).not.toContain("\u001b");
});
