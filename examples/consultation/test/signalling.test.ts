import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { OFFER_BYTES } from "../sfu.ts";
import { blindBrowser } from "./blind-browser.ts";

type Told = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A browser's line, and what it heard. */
interface Line {
  readonly heard: Told[];
  /** The last of a kind. */
  last(type: string): Told | undefined;
  say(message: object): void;
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
}

const DIRECTORY = fileURLToPath(new URL("..", import.meta.url));

let server: ChildProcess;
let url: string;
let rooms = 0;
let room: string;
const lines: Line[] = [];

beforeAll(async () => {
  server = spawn(process.execPath, ["main.ts"], {
    cwd: DIRECTORY,
    env: { ...process.env, PORT: "0", HOST: "127.0.0.1", HOLDOVER_RELEASE: "v1" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  url = await new Promise<string>((resolve) => {
    let said = "";
    server.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const found = /http:\/\/[\d.]+:\d+/.exec(said);
      if (found) resolve(found[0]);
    });
  });
});

afterEach(async () => {
  for (const { socket } of lines) socket.terminate();
  await Promise.all(lines.splice(0).map(({ closed }) => closed));
});

afterAll(async () => {
  server.kill("SIGKILL");
  await once(server, "close");
});

function newRoom(): void {
  rooms += 1;
  room = `room-${rooms}`;
}

async function open(): Promise<Line> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/?room=${room}`);
  const heard: Told[] = [];
  socket.on("message", (data: Buffer) => heard.push(JSON.parse(data.toString()) as Told));
  socket.on("error", () => {});
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  const line = {
    heard,
    last: (type: string) => heard.findLast((told) => told.type === type),
    say: (message: object) => socket.send(JSON.stringify(message)),
    socket,
    closed,
  };
  lines.push(line);
  await once(socket, "open");
  return line;
}

async function enter(name: string, role = "customer", token: unknown = null): Promise<Line> {
  const line = await open();
  line.say({ type: "enter", name, role, token });
  await vi.waitFor(() => expect(line.last("welcome")).toBeDefined());
  return line;
}

const others = (line: Line): string[] => {
  const told = (line.last("people")?.["others"] ?? []) as { name: string }[];
  return told.map(({ name }) => name);
};

describe("the line to a room", () => {
  test("what one writes is told to all when it is kept, and kept once under one id", async () => {
    newRoom();
    const [ada, carl] = [await enter("Ada", "advisor"), await enter("Carl")];
    for (let again = 0; again < 3; again++) carl.say({ type: "write", id: "1", text: "Good morning" });
    await vi.waitFor(() => expect(carl.heard.filter(({ type }) => type === "kept")).toHaveLength(3));
    await vi.waitFor(() => expect(ada.heard.filter(({ type }) => type === "line")).toHaveLength(1));
    const late = await enter("Dora");
    expect(late.last("welcome")).toMatchObject({
      release: "v1",
      lines: [{ id: "1", from: "Carl", text: "Good morning" }],
    });
  });

  test("a customer agrees, and an advisor cannot for him", async () => {
    newRoom();
    const [ada, carl] = [await enter("Ada", "advisor"), await enter("Carl")];
    ada.say({ type: "agree" });
    await vi.waitFor(() => expect(ada.last("refused")).toMatchObject({ what: "agree" }));
    expect(carl.last("consent")).toBeUndefined();
    carl.say({ type: "agree" });
    await vi.waitFor(() => expect(ada.last("consent")).toMatchObject({ consent: { by: "Carl", terms: "1" } }));
  });

  test("a fourth one finds every seat taken, and the three go on", async () => {
    newRoom();
    const three = [await enter("Ada", "advisor"), await enter("Carl"), await enter("Dora")];
    const fourth = await open();
    fourth.say({ type: "enter", name: "Emil", role: "customer", token: null });
    expect(await fourth.closed).toBe(4001);
    three[0]?.say({ type: "write", id: "1", text: "Still here" });
    for (const line of three) await vi.waitFor(() => expect(line.last("line")).toBeDefined());
    // A seat that was left is free again.
    three[2]?.socket.close(1000);
    await vi.waitFor(() => expect(others(three[0] as Line)).toEqual(["Carl"]));
    expect(others(await enter("Emil"))).toEqual(["Ada", "Carl"]);
  });

  test("who lost the line and not the call sits where he sat, and the others see nobody go", async () => {
    newRoom();
    const [ada, carl] = [await enter("Ada", "advisor"), await enter("Carl")];
    const browser = await blindBrowser();
    carl.say({ type: "offer", call: 1, sdp: browser.offer });
    await vi.waitFor(() => expect(carl.last("answer")).toMatchObject({ call: 1 }));
    const told = ada.heard.length;
    carl.socket.terminate();
    const back = await enter("Carl", "customer", carl.last("welcome")?.["token"]);
    expect(back.last("welcome")).toMatchObject({ resumed: true, token: carl.last("welcome")?.["token"] });
    await vi.waitFor(() => expect(ada.heard.length).toBeGreaterThan(told));
    for (const { type, others } of ada.heard.slice(told)) {
      expect(type).toBe("people");
      expect(others).toMatchObject([{ name: "Carl" }]);
    }
    await browser.connection.close();
  });

  test("who comes with the token of a seat takes the line of it away from the window before", async () => {
    newRoom();
    const first = await enter("Carl");
    const second = await enter("Carl", "customer", first.last("welcome")?.["token"]);
    expect(await first.closed).toBe(4002);
    expect(others(second)).toEqual([]);
  });

  test("an offer that is none is refused, and the line goes on", async () => {
    newRoom();
    const carl = await enter("Carl");
    carl.say({ type: "offer", call: 1, sdp: "v=0" });
    await vi.waitFor(() => expect(carl.last("refused")).toMatchObject({ what: "offer" }));
    carl.say({ type: "write", id: "1", text: "Still here" });
    await vi.waitFor(() => expect(carl.last("kept")).toBeDefined());
  });

  test.each([
    ["no JSON", "hello"],
    ["an unknown message", { type: "shout" }],
    ["null", "null"],
    ["a name of 41 characters", { type: "enter", name: "x".repeat(41), role: "customer", token: null }],
    ["an empty name", { type: "enter", name: " ", role: "customer", token: null }],
    ["a role that is none", { type: "enter", name: "x", role: "judge", token: null }],
    ["a text of 301 characters", { type: "write", id: "1", text: "x".repeat(301) }],
    ["an offer that is too long", { type: "offer", call: 1, sdp: "x".repeat(OFFER_BYTES + 1) }],
    ["bytes", Buffer.from([1, 2, 3])],
  ])("%s closes the line of whoever sent it, and of nobody else", async (_, message) => {
    newRoom();
    const [ada, wrong] = [await enter("Ada", "advisor"), await open()];
    wrong.socket.send(typeof message === "string" || Buffer.isBuffer(message) ? message : JSON.stringify(message));
    expect(await wrong.closed).toBe(4003);
    ada.say({ type: "write", id: "1", text: "Still here" });
    await vi.waitFor(() => expect(ada.last("kept")).toBeDefined());
  });

  test("a message larger than any of the page, or more of them than a person sends, closes the line", async () => {
    newRoom();
    const [large, many] = [await open(), await enter("Carl")];
    large.socket.send("x".repeat(1024 * 1024));
    expect(await large.closed).toBe(1009);
    for (let id = 0; id < 1000; id++) many.say({ type: "write", id: `${id}`, text: "x" });
    expect(await many.closed).toBe(4003);
  });

  test("nothing is done for who has not entered", async () => {
    newRoom();
    const line = await open();
    line.say({ type: "write", id: "1", text: "x" });
    await vi.waitFor(() => expect(line.last("refused")).toMatchObject({ id: "1", problem: "enter first" }));
  });

  test("a page of another site gets no line", async () => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/?room=a`, { origin: "http://elsewhere.test" });
    const [error] = (await once(socket, "error")) as [Error];
    expect(error.message).toContain("401");
    const own = new WebSocket(`${url.replace("http", "ws")}/?room=a`, { origin: url });
    await once(own, "open");
    own.terminate();
    await once(own, "close");
  });
});

describe("the page", () => {
  test("loads all of itself under the room's path, and has no script in it", async () => {
    const answer = await fetch(`${url}/?room=a%22%3E%3Cscript%3E`);
    const text = await answer.text();
    expect(text).toContain('<base href="/rooms/a%22%3E%3Cscript%3E/" />');
    expect(text).not.toContain('"><script>');
    expect(text).not.toMatch(/<script(?![^>]* src=)/);
    expect(answer.headers.get("content-security-policy")).toMatch(/default-src 'none'; script-src 'self';/);
    for (const [, name] of text.matchAll(/(?:href|src)="([\w.-]+\.\w+)"/g))
      expect((await fetch(`${url}/rooms/a/${name}`)).status).toBe(200);
  });

  test("without a room leads to a new one", async () => {
    const answer = await fetch(`${url}/`, { redirect: "manual" });
    expect(answer.status).toBe(303);
    expect(answer.headers.get("location")).toMatch(/^\/\?room=[0-9a-f]{8}$/);
  });

  test.each([
    ["/rooms/a/..%2fserve.ts", 404],
    ["/rooms/a/serve.ts", 404],
    ["/rooms/%zz/app.js", 404],
    ["/rooms/a/constructor", 404],
    [`/?room=${"x".repeat(65)}`, 404],
    ["/elsewhere", 404],
    ["/livez", 200],
  ])("%s is answered with %i", async (path, status) => {
    expect((await fetch(`${url}${path}`)).status).toBe(status);
  });

  test("is only read", async () => {
    expect((await fetch(`${url}/?room=a`, { method: "POST" })).status).toBe(405);
  });
});
