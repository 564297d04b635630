import { once } from "node:events";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { Channel, ChannelEnd } from "./channel.ts";
import { openChannels, type Channels, type ChannelsOptions } from "./channels.ts";

interface Told {
  readonly channel: Channel;
  readonly messages: string[];
  readonly news: string[];
  ended: readonly [ChannelEnd, readonly string[]] | null;
}

let clock: ManualClock;
let channels: Channels;
let server: WebSocketServer;
let told: Told[];
const clients: Client[] = [];

const options: ChannelsOptions = {
  after: (ms, run) => clock.after(ms, run),
  open(channel) {
    const one: Told = { channel, messages: [], news: [], ended: null };
    told.push(one);
    return {
      message: (text) => void one.messages.push(text),
      away: () => void one.news.push("away"),
      back: () => void one.news.push("back"),
      end: (how, unacknowledged) => void (one.ended = [how, unacknowledged]),
    };
  },
};

beforeEach(async () => {
  clock = new ManualClock();
  told = [];
  channels = openChannels(options);
  server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (socket, request) => channels.accept(socket, request.url ?? ""));
  await once(server, "listening");
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  server.close();
  await once(server, "close");
});

const ID = "0123456789abcdef";
const OTHER = "fedcba9876543210";
const hello = (id = ID, turn = 1, ...has: number[]) => ["holdover", 1, id, turn, ...has];

/** A client that says whatever a test wants. */
class Client {
  readonly socket: WebSocket;
  readonly #frames: unknown[] = [];
  #wake: () => void = () => {};
  readonly closed: Promise<readonly [number, string]>;

  constructor(session: string) {
    const { port } = server.address() as { port: number };
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/${session}`);
    this.closed = new Promise((resolve) => {
      this.socket.once("close", (code, reason) => resolve([code, reason.toString()]));
    });
    this.socket.on("message", (data: Buffer) => {
      this.#frames.push(JSON.parse(data.toString()));
      this.#wake();
    });
    clients.push(this);
  }

  say(...frames: unknown[]): void {
    for (const frame of frames) this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  async next(): Promise<unknown> {
    while (this.#frames.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#frames.shift();
  }
}

async function connected(session = "room", ...frames: unknown[]): Promise<Client> {
  const client = new Client(session);
  await once(client.socket, "open");
  client.say(...frames);
  return client;
}

/** A client with a channel, welcomed. */
async function joined(session = "room", id = ID): Promise<Client> {
  const client = await connected(session, hello(id));
  expect(await client.next()).toEqual(["welcome", 0]);
  return client;
}

async function away(one: Told | undefined): Promise<void> {
  await expect.poll(() => one?.news.at(-1)).toBe("away");
}

describe("what is no frame, or not one for now, is refused with a code; others notice nothing", () => {
  test.each([
    ["no JSON", [], "[1,", 1002],
    ["no array", [], "{}", 1002],
    ["a message before hello", [], [1, 0, "x"], 1002],
    ["another version", [], ["holdover", 2, ID, 1], 1002],
    ["an id that is too short", [], hello("short"), 1002],
    ["an id that is no text", [], ["holdover", 1, {}, 1], 1002],
    ["a hello that lacks a number", [], hello(ID, 1, 0), 1002],
    ["numbers below zero", [], hello(ID, 1, -1, 0), 1002],
    ["a second hello", [hello()], hello(ID, 2, 0, 0), 1002],
    ["a number out of order", [hello()], [2, 0, "x"], 1002],
    ["a number that is none", [hello()], ["1", 0, "x"], 1002],
    ["a number that is no whole one", [hello()], [0.5, 0, "x"], 1002],
    ["an acknowledgement of what was never sent", [hello()], [0, 1], 1002],
    ["a message that is no text", [hello()], [1, 0, null], 1002],
    ["a frame with more in it", [hello()], [1, 0, "x", "y"], 1002],
    ["a message that is too large", [hello()], [1, 0, "é".repeat(131_073)], 1009],
    ["a frame that is too large", [hello()], " ".repeat(1_600_000), 1009],
  ])("%s", async (_, before, frame, code) => {
    const other = await joined("room", OTHER);
    const client = await connected("room", ...before, frame);
    expect((await client.closed)[0]).toBe(code);
    other.say([1, 0, "still here"]);
    await expect.poll(() => told[0]?.messages).toEqual(["still here"]);
    expect(told[1]?.messages ?? []).toEqual([]);
  });

  test("bytes", async () => {
    const client = await connected();
    client.socket.send(Buffer.from(JSON.stringify(hello())));
    expect((await client.closed)[0]).toBe(1003);
  });

  test("nothing at all, after a while", async () => {
    const client = await connected();
    await expect.poll(() => server.clients.size).toBe(1);
    await clock.advance(10_000);
    expect(await client.closed).toEqual([1013, "no hello in time; retry=1000"]);
  });
});

test("a message that comes twice is heard once", async () => {
  const client = await joined();
  client.say([1, 0, "a"], [1, 0, "a"], [2, 0, "b"], [1, 0, "a"]);
  await expect.poll(() => told[0]?.messages).toEqual(["a", "b"]);
  client.say([3, 0, "c"]);
  await expect.poll(() => told[0]?.messages).toEqual(["a", "b", "c"]);
});

test("what was received is acknowledged a moment later, together; after many messages at once", async () => {
  const client = await joined();
  client.say([1, 0, "a"], [2, 0, "b"]);
  await expect.poll(() => told[0]?.messages).toHaveLength(2);
  await clock.advance(50);
  expect(await client.next()).toEqual([0, 2]);
  for (let n = 3; n <= 34; n++) client.say([n, 0, "c"]);
  expect(await client.next()).toEqual([0, 34]);
  told[0]?.channel.send("reply");
  expect(await client.next()).toEqual([1, 34, "reply"]);
});

describe("a client that comes back", () => {
  test("gets what it has not received, and tells what the instance has", async () => {
    const client = await joined();
    client.say([1, 0, "a"]);
    await expect.poll(() => told[0]?.messages).toEqual(["a"]);
    told[0]?.channel.send("1");
    told[0]?.channel.send("2");
    client.socket.terminate();
    await away(told[0]);
    expect(told[0]?.channel.connected).toBe(false);
    told[0]?.channel.send("3");
    const again = await connected("room", hello(ID, 2, 1, 0));
    expect(await again.next()).toEqual(["welcome", 1]);
    expect(await again.next()).toEqual([2, 1, "2"]);
    expect(await again.next()).toEqual([3, 1, "3"]);
    expect(told[0]?.news).toEqual(["away", "back"]);
    expect(told).toHaveLength(1);
  });

  test("before its old connection is known to be gone takes its place; what comes late on the old one is not heard", async () => {
    const old = await joined();
    const next = await connected("room", hello(ID, 2, 0, 0));
    expect(await next.next()).toEqual(["welcome", 0]);
    old.say([1, 0, "late"]);
    expect((await old.closed)[0]).toBe(1008);
    next.say([1, 0, "late"]);
    await expect.poll(() => told[0]?.messages).toEqual(["late"]);
    // A hello that was held up is older, and displaces nobody.
    const late = await connected("room", hello(ID, 1, 0, 0));
    expect((await late.closed)[0]).toBe(1008);
    next.say([2, 0, "here"]);
    await expect.poll(() => told[0]?.messages).toEqual(["late", "here"]);
  });

  test.each([
    ["with the id of another session's channel", "elsewhere", hello(ID, 2, 0, 0)],
    ["with an id that nobody knows", "room", hello(OTHER, 2, 0, 0)],
    ["with messages that were never sent to it", "room", hello(ID, 2, 5, 0)],
    ["with an acknowledgement that was never given", "room", hello(ID, 2, 0, 1)],
  ])("%s is told that it is unknown, and begins anew on the same connection", async (_, session, frame) => {
    await joined();
    const stranger = await connected(session, frame);
    expect(await stranger.next()).toEqual(["unknown"]);
    const id = "another-id-of-its-own";
    stranger.say(hello(id, 3));
    expect(await stranger.next()).toEqual(["welcome", 0]);
    expect(told.map(({ channel }) => [channel.session, channel.afterReset])).toEqual([
      ["/room", false],
      [`/${session}`, true],
    ]);
    expect(told[0]?.news).toEqual([]);
  });

  test("too late finds it expired; the application was told what was not acknowledged", async () => {
    const client = await joined();
    told[0]?.channel.send("1");
    expect(await client.next()).toEqual([1, 0, "1"]);
    client.socket.terminate();
    await away(told[0]);
    await clock.advance(59_999);
    expect(told[0]?.ended).toBeNull();
    await clock.advance(1);
    expect(told[0]?.ended).toEqual(["expired", ["1"]]);
    expect(channels.size).toBe(0);
    expect(() => told[0]?.channel.send("2")).toThrow(expect.objectContaining({ code: "ENDED" }));
    const again = await connected("room", hello(ID, 2, 1, 0));
    expect(await again.next()).toEqual(["unknown"]);
  });
});

test.each([1000, 1001, 4321])("a client that closes with %i has hung up", async (code) => {
  const client = await joined();
  client.socket.close(code);
  await expect.poll(() => told[0]?.ended).toEqual(["closed", []]);
});

test("the application ends a channel, with a code of its own; all of them with 1001", async () => {
  const one = await joined();
  const two = await joined("room", OTHER);
  told[0]?.channel.end(4000, "over");
  one.say([1, 0, "late"]);
  expect(await one.closed).toEqual([4000, "over"]);
  expect(told[0]?.ended).toEqual(["ended", []]);
  await expect.poll(() => server.clients.size).toBe(1);
  expect(told[0]?.messages).toEqual([]);
  channels.end();
  expect((await two.closed)[0]).toBe(1001);
  expect(channels.size).toBe(0);
});

test("what waits to be acknowledged is bounded in number and bytes; more is refused and not sent", async () => {
  channels = openChannels({ ...options, maxUnacknowledged: 3, maxUnacknowledgedBytes: 20, maxMessageBytes: 12 });
  const client = await joined();
  const channel = told[0]?.channel;
  channel?.send("é".repeat(6));
  expect(() => channel?.send("é".repeat(7))).toThrow(expect.objectContaining({ code: "TOO_LARGE" }));
  expect(() => channel?.send("123456789")).toThrow(expect.objectContaining({ code: "FULL" }));
  channel?.send("2");
  channel?.send("3");
  expect(() => channel?.send("4")).toThrow(expect.objectContaining({ code: "FULL" }));
  client.say([0, 3], [1, 3, "done"]);
  await expect.poll(() => told[0]?.messages).toEqual(["done"]);
  channel?.send("5");
  for (const number of [1, 2, 3, 4]) expect(await client.next()).toContain(number);
});

test("with as many channels as it may hold the one that lingers longest makes room; live ones never do", async () => {
  channels = openChannels({ ...options, maxChannels: 2 });
  const first = await joined("a", "first-first-first");
  const second = await joined("b", "second-second-second");
  const refused = await connected("c", hello(OTHER));
  expect((await refused.closed)[0]).toBe(1013);
  second.socket.terminate();
  await away(told[1]);
  first.socket.terminate();
  await away(told[0]);
  await joined("c");
  expect(told.map(({ ended }) => ended?.[0])).toEqual([undefined, "expired", undefined]);
});

describe("a snapshot", () => {
  test("carries a channel to another instance, where its client goes on", async () => {
    const client = await joined();
    client.say([1, 0, "a"]);
    await expect.poll(() => told[0]?.messages).toEqual(["a"]);
    told[0]?.channel.send("1");
    const kept: unknown = JSON.parse(JSON.stringify(channels.snapshot("/room")));
    channels = openChannels(options);
    channels.restore("/room", kept);
    const again = await connected("room", hello(ID, 2, 0, 1));
    expect(await again.next()).toEqual(["welcome", 1]);
    expect(await again.next()).toEqual([1, 1, "1"]);
  });

  test("that is older than what its client has received is no base to go on from, whatever was sent since", async () => {
    await joined();
    const kept = channels.snapshot("/room");
    channels = openChannels(options);
    channels.restore("/room", kept);
    told[1]?.channel.send("another first message");
    // And again by way of a snapshot that has that message in it.
    const keptAgain = channels.snapshot("/room");
    channels = openChannels(options);
    channels.restore("/room", keptAgain);
    const client = await connected("room", hello(ID, 2, 1, 0));
    expect(await client.next()).toEqual(["unknown"]);
  });

  const good = { id: ID, received: 0, acknowledged: 2, unacknowledged: ["x"], ours: 3 };

  test.each([
    null,
    "[]",
    [null],
    [{}],
    [{ ...good, id: "x" }],
    [{ ...good, received: -1 }],
    [{ ...good, unacknowledged: [1] }],
    [{ ...good, ours: 4 }],
    [{ ...good, ours: 1 }],
    [good, good],
    [good, null],
  ])("that is none is refused whole: %j", (snapshots) => {
    expect(() => channels.restore("room", snapshots)).toThrow(expect.objectContaining({ code: "SNAPSHOT_INVALID" }));
    expect(channels.size).toBe(0);
  });
});

test("an application that throws at a new channel keeps nothing of it, and its client is asked to come again", async () => {
  const thrown: unknown[] = [];
  channels = openChannels({
    open() {
      throw new Error("no database");
    },
  });
  server.removeAllListeners("connection");
  server.on("connection", (socket) => {
    const emit = socket.emit.bind(socket);
    socket.emit = (...event: Parameters<typeof emit>) => {
      try {
        return emit(...event);
      } catch (error) {
        return thrown.push(error) > 0;
      }
    };
    channels.accept(socket, "room");
  });
  const client = await connected("room", hello());
  expect((await client.closed)[0]).toBe(1011);
  expect(thrown).toEqual([new Error("no database")]);
  expect(channels.size).toBe(0);
});

test.each([{ lingerMs: 0 }, { helloMs: Number.NaN }, { maxChannels: Infinity }, { maxMessageBytes: -1 }])(
  "%o is refused",
  (wrong) => {
    expect(() => openChannels({ ...options, ...wrong })).toThrow(RangeError);
  },
);
