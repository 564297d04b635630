import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { hintsIn } from "./source-hints.ts";
import { sourcesIn } from "./sources.ts";

const keysIn = (text: string) => hintsIn([{ path: "a.js", text }]).keys.map(({ what }) => what);

describe("a place that may carry a session key is seen", () => {
  test.each([
    ['new URL(request.url, base).searchParams.get("room")', { query: "room" }],
    ["const id = req.query.roomId;", { query: "roomId" }],
    ['req.query["call_id"]', { query: "call_id" }],
    ["const { token, gameId } = socket.handshake.query;", { query: "gameId" }],
    ['r.URL.Query().Get("session")', { query: "session" }],
    ["room = request.args.get('room')", { query: "room" }],
    ['q.get("room", ["lobby"])[0]', { query: "room" }],
    ["new WebSocket(`wss://x/?meeting=${id}`)", { query: "meeting" }],
    ['app.get("/rooms/:id", handler)', { path: "/rooms/:id" }],
    ['router.ws("/ws/:conversationId", handler)', { path: "/ws/:conversationId" }],
    ['mux.HandleFunc("GET /games/{id}/join", join)', { path: "/games/:id/join" }],
    ['@app.websocket("/rooms/{room_id}")', { path: "/rooms/:room_id" }],
    ["@app.route('/calls/<int:number>')", { path: "/calls/:number" }],
    ['request.headers["x-session-id"]', { header: "x-session-id" }],
    ['request.headers.get("X-Room")', { header: "x-room" }],
    ['r.Header.Get("X-Call-Id")', { header: "x-call-id" }],
  ])("in %s", (text, place) => {
    expect(keysIn(text)).toEqual([place]);
  });
});

describe("nothing is seen where no session is named", () => {
  test.each([
    'searchParams.get("page")',
    "req.query.limit",
    'app.get("/users/:id", handler)',
    'app.get("/rooms", list)',
    'request.headers["content-type"]',
    'request.headers["x-request-id"]',
    "const room = rooms.get(name);",
    'database.query("select 1")',
  ])("in %s", (text) => {
    expect(keysIn(text)).toEqual([]);
  });
});

test("each place is told once, with the first line that has it, and no more than four", () => {
  const lines = [
    "",
    "req.query.room",
    "req.query.room",
    'get("/calls/:id")',
    "req.query.game",
    "req.query.table",
    "req.query.chat",
  ];
  const { keys } = hintsIn([{ path: "src/a.js", text: lines.join("\n") }]);
  expect(keys.map(({ where }) => where)).toEqual(["src/a.js:2", "src/a.js:4", "src/a.js:5", "src/a.js:6"]);
});

test("a path that is called like a health check is one, and PORT in any source counts", () => {
  expect(hintsIn([{ path: "a.py", text: '@app.get("/api/healthz")' }])).toMatchObject({
    health: { what: "/api/healthz", where: "a.py:1" },
    readsPort: false,
  });
  expect(hintsIn([{ path: "a.go", text: 'os.Getenv("PORT")' }])).toMatchObject({ health: null, readsPort: true });
  expect(hintsIn([]).readsPort).toBe(true);
});

test("text of any kind is looked through in a moment", () => {
  const hostile = [
    `"${"/a".repeat(60_000)}`,
    `{${" room".repeat(20_000)}`,
    "?".repeat(100_000),
    "room_".repeat(20_000),
  ];
  const startedAt = performance.now();
  for (const text of hostile) hintsIn([{ path: "a.js", text }]);
  expect(performance.now() - startedAt).toBeLessThan(2000);
});

test("dependencies, builds, tests and hidden files are not the application's own words, and a loop of links is no loop", async () => {
  const dir = await mkdtemp(join(tmpdir(), "holdover-sources-"));
  try {
    const names = ["b.js", "a/c.ts", "node_modules/x/i.js", "dist/b.js", "a/c.test.ts", ".cache/d.js", "a/e.txt"];
    for (const name of names) {
      await mkdir(dirname(join(dir, name)), { recursive: true });
      await writeFile(join(dir, name), name);
    }
    await symlink(dir, join(dir, "a", "again"));
    expect(await sourcesIn(dir)).toEqual([
      { path: "b.js", text: "b.js" },
      { path: "a/c.ts", text: "a/c.ts" },
    ]);
    expect(await sourcesIn(join(dir, "none"))).toEqual([]);
  } finally {
    await rm(dir, { recursive: true });
  }
});
