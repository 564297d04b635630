import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openFixture, SECRET, service, type Fixture } from "./front-fixture.ts";
import { RequestLog } from "./request-log.ts";
import { sessionNames } from "./session-name.ts";

let at: Fixture;
let told: { request: string | string[] | undefined; common: string | string[] | undefined }[] = [];
const open = async (options: Parameters<typeof openFixture>[0] = {}): Promise<void> => {
  at = await openFixture(options);
  await at.serve("a", (request, response) => {
    told.push({ request: request.headers["holdover-request"], common: request.headers["x-request-id"] });
    response.setHeader("Holdover-Request", "the instance's own word");
    response.end("ok");
  });
};
beforeEach(async () => {
  told = [];
  await open();
});
afterEach(() => at.close());

const lines = (event: string) => at.logged.filter((line) => line.event === event).map(({ detail }) => detail);

describe("the name of a request", () => {
  test.each([
    ["Holdover-Request before X-Request-Id", { "holdover-request": "ours-1", "x-request-id": "theirs" }, "ours-1"],
    [
      "X-Request-Id",
      { "x-request-id": "7b0d1e9c-8d7e-4c43-9f0a-5f9f6b6f0f11" },
      "7b0d1e9c-8d7e-4c43-9f0a-5f9f6b6f0f11",
    ],
    ["the longest that is taken", { "x-request-id": "x".repeat(128) }, "x".repeat(128)],
  ])("is the client's: %s", async (_what, headers, id) => {
    const answer = await at.ask({ path: "/?s=a", headers });
    expect(told).toEqual([{ request: id, common: id }]);
    expect(answer.headers["holdover-request"]).toBe(id);
  });

  test.each([
    ["none", {}],
    ["one that is too long", { "x-request-id": "x".repeat(129) }],
    ["one with what a log stumbles over", { "x-request-id": 'a"b' }],
    ["an empty one", { "holdover-request": "" }],
    ["one that another server would read differently", { holdover_request: "a" }],
    ["two", { "x-request-id": ["a", "b"] }],
  ])("is the router's own for %s, and no two are the same", async (_what, headers) => {
    const answers = [await at.ask({ path: "/?s=a", headers }), await at.ask({ path: "/?s=a", headers })];
    const ids = answers.map((answer) => answer.headers["holdover-request"]);
    expect(told).toEqual(ids.map((id) => ({ request: id, common: id })));
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{12}-[0-9a-z]+$/);
  });

  test("comes with every answer that the router gives itself, and with its line in the log", async () => {
    const headers = { "holdover-request": "mine" };
    const asked = await at.ask({ path: "/?s=nobody", headers });
    const posted = await at.ask({ path: "/?s=nobody", headers, method: "POST", body: "x" });
    for (const { status, headers } of [asked, posted]) {
      expect([status, headers["holdover-request"]]).toEqual([503, "mine"]);
    }
    const talk = await at.dial();
    talk.socket.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\nX-Request-Id: mine\r\n\r\n");
    expect(await talk.until("Holdover-Request: mine\r\n")).toContain(" 503 ");
    expect(lines("refused").map(({ request, code }) => [request, code])).toEqual(
      Array.from({ length: 3 }, () => ["mine", "NO_INSTANCE"]),
    );
    const garbage = await at.dial();
    garbage.socket.write("garbage\r\n\r\n");
    const id = /Holdover-Request: (\S+)/.exec(await garbage.until("\r\n\r\n"))?.[1];
    expect(lines("refused").at(-1)).toMatchObject({ request: id, code: "REQUEST_MALFORMED" });
  });
});

describe("a line of the log", () => {
  const SECRETS = ["?s=a", "anna", "cookie-value", "token=secret"];

  test("tells where the request went, and of its session a name from which nobody learns the key", async () => {
    at.holder.services = [service("rooms", { key: [{ path: "/rooms/:room" }, { header: "x-session" }] })];
    at.holder.instances["anna"] = { host: "127.0.0.1", port: 1 };
    const headers = { cookie: "c=cookie-value", "holdover-request": "r1" };
    for (const path of ["/rooms/anna?token=secret", "/rooms/anna?token=secret", "/other?token=secret"]) {
      await at.ask({ path, headers: { ...headers, "x-session": "anna" } });
    }
    const refused = lines("refused");
    const session = sessionNames(SECRET)("anna");
    expect(session).toMatch(/^[0-9a-f]{12}$/);
    for (const line of refused) {
      expect(line).toMatchObject({ request: "r1", service: "rooms", release: "v1", instance: "anna", session });
      expect(line["code"]).toBe("INSTANCE_UNREACHABLE");
    }
    expect(sessionNames(Buffer.alloc(32))("anna")).not.toBe(session);
  });

  test("is bounded, however long the path of a stranger is", async () => {
    await at.ask({ path: `/${"x".repeat(8000)}`, headers: { host: "nobody.test" } }).catch(() => {});
    at.holder.services = [service("rooms", { hosts: ["rooms.test"] })];
    await at.ask({ path: `/${"x".repeat(8000)}` });
    const [line] = lines("refused").slice(-1);
    expect(line).toMatchObject({ code: "HOST_UNKNOWN" });
    expect(JSON.stringify(line).length).toBeLessThan(1000);
  });

  test("is written 200 times a second at the most; the rest is counted, and told with the next", () => {
    const written: Record<string, unknown>[] = [];
    const log = new RequestLog({ log: (_event, detail) => written.push(detail), sessionName: sessionNames(SECRET) });
    const now = vi.spyOn(performance, "now").mockReturnValue(5000);
    const write = (times: number) => {
      for (let n = 0; n < times; n++) if (log.hasRoom()) log.write("refused", { n });
    };
    write(300);
    expect(written).toHaveLength(200);
    now.mockReturnValue(5999);
    write(1);
    expect(written).toHaveLength(200);
    now.mockReturnValue(6000);
    write(300);
    expect(written.slice(200, 202)).toEqual([{ n: 0, untold: 101 }, { n: 1 }]);
    expect(written).toHaveLength(400);
    now.mockRestore();
  });

  test("is there for every answer where that is asked for, without query, cookie and key", async () => {
    await at.close();
    await open({ accessLog: true });
    at.holder.services = [service("rooms", { key: [{ path: "/rooms/:room" }] })];
    at.holder.instances["anna"] = at.holder.instances["a"] ?? { host: "", port: 0 };
    const headers = { cookie: "c=cookie-value", "x-request-id": "r1" };
    await at.ask({ path: "/rooms/anna/chat?token=secret", headers, method: "POST", body: "token=secret" });
    await at.ask({ path: "/elsewhere?s=a", headers });
    const talk = await at.dial();
    talk.socket.write("GET /rooms/anna HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    await talk.until("ok");
    talk.socket.end();
    await at.holder.allDone(2);
    const told = { service: "rooms", release: "v1", ms: expect.any(Number) };
    expect(lines("answered")).toEqual([
      {
        ...told,
        request: "r1",
        instance: "anna",
        session: expect.any(String),
        method: "POST",
        path: "/rooms/:room/chat",
        status: 200,
      },
      { service: "rooms", request: "r1", method: "GET", path: "/elsewhere", status: 503, ms: expect.any(Number) },
      {
        ...told,
        request: expect.any(String),
        instance: "anna",
        session: expect.any(String),
        method: "GET",
        path: "/rooms/:room",
        status: 200,
      },
    ]);
    const text = JSON.stringify(at.logged);
    for (const secret of SECRETS) expect(text.replaceAll('"instance":"anna"', "")).not.toContain(secret);
  });

  test("is not there for answers of instances unless that is asked for", async () => {
    await at.ask({ path: "/?s=a" });
    expect(at.logged).toEqual([]);
  });
});
