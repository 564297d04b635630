import { connect, type ConnectOptions, type Connection, type Events, type State } from "@holdover/client";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { openChannels, type Channel, type Channels } from "@holdover/worker";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MemoryNetwork } from "./memory-network.ts";

let clock: ManualClock;
let instance: Channels;
let network: MemoryNetwork;
let channel: Channel;
let online: EventTarget;
let connection: Connection;
let heard: string[];
let told: { [Kind in keyof Events]?: Events[Kind][] };
let atServer: string[];

const start = (): Channels =>
  openChannels({
    after: (ms, run) => clock.after(ms, run),
    open(opened) {
      channel = opened;
      return { message: (text) => void atServer.push(text) };
    },
  });

function open(options: ConnectOptions = {}): void {
  connection = connect("ws://box.test/?room=1", {
    clock,
    random: () => 0.5,
    webSocket: network.webSocket,
    network: online,
    ...options,
  });
  const kinds = ["open", "acknowledged", "moved", "reset", "state", "close"] as const;
  for (const kind of kinds) connection.on(kind, (event) => void ((told[kind] ??= []) as unknown[]).push(event));
  connection.on("message", (text) => heard.push(text));
}

beforeEach(() => {
  clock = new ManualClock();
  online = new EventTarget();
  heard = [];
  told = {};
  atServer = [];
  instance = start();
  network = new MemoryNetwork((socket) => instance.accept(socket, "1"));
});

afterEach(() => connection.close());

/** The connection breaks with a code, and both ends learn of it. */
function cut(code: number, reason = ""): void {
  network.last.cut(0, 0, code, reason);
  network.settle();
}

test("messages pass both ways, also those sent before there was a connection; each is acknowledged", async () => {
  open();
  expect(connection.send("before")).toBe(1);
  network.settle();
  expect(connection.send("after")).toBe(2);
  channel.send("hello");
  network.settle();
  await clock.advance(50);
  network.settle();
  expect(atServer).toEqual(["before", "after"]);
  expect(heard).toEqual(["hello"]);
  expect(told.acknowledged?.at(-1)).toBe(2);
  expect(told.state).toEqual(["open"]);
  expect(told.open).toEqual([{ resumed: false }]);
});

describe("a connection that is lost", () => {
  test("is tried again after waits that double, and the next that lasts begins anew", async () => {
    open();
    network.settle();
    await clock.advance(1000);
    for (const wait of [500, 1000, 2000]) {
      cut(1006);
      expect(connection.state).toBe("waiting");
      const { length } = network.links;
      await clock.advance(wait - 1);
      expect(network.links).toHaveLength(length);
      await clock.advance(1);
      expect(network.links).toHaveLength(length + 1);
    }
    network.settle();
    await clock.advance(1000);
    cut(1006);
    await clock.advance(500);
    network.settle();
    expect(connection.state).toBe("open");
    expect(told.open).toEqual([{ resumed: false }, { resumed: true }, { resumed: true }]);
  });

  test("follows what the server advises, and tells of a move", async () => {
    open();
    network.settle();
    await clock.advance(1000);
    cut(1012, "instance lost, connect again; retry=200");
    await clock.advance(99);
    expect(network.links).toHaveLength(1);
    await clock.advance(1);
    network.settle();
    await clock.advance(1000);
    expect(told.moved).toBeUndefined();
    cut(1012, "session moved, connect again; retry=0");
    expect(told.moved).toEqual([{ reason: "session moved, connect again; retry=0" }]);
    await clock.advance(0);
    expect(network.links).toHaveLength(3);
  });

  test("comes back at once when the network does, but never later than it would have", async () => {
    open();
    cut(1006);
    await clock.advance(500);
    cut(1006);
    await clock.advance(100);
    online.dispatchEvent(new Event("online"));
    await clock.advance(500);
    expect(network.links).toHaveLength(3);
    cut(1006);
    await clock.advance(1999);
    online.dispatchEvent(new Event("online"));
    await clock.advance(1);
    expect(network.links).toHaveLength(4);
  });

  test("and an end that is silent when an answer is due is taken for gone; nothing is lost by that", async () => {
    open({ answerMs: 3000 });
    network.settle();
    connection.send("one");
    // It does not arrive: the network swallows it.
    await clock.advance(3000);
    expect(connection.state).toBe("waiting");
    await clock.advance(500);
    network.settle();
    expect(told.open).toEqual([{ resumed: false }, { resumed: true }]);
    expect(atServer).toEqual(["one"]);
    expect(heard).toEqual([]);
  });

  test.each([1000, 1001, 1002, 1003, 1008, 1009])("with code %i it is over", async (code) => {
    open();
    network.settle();
    connection.send("kept");
    cut(code, "why");
    expect(told.close).toEqual([{ code, reason: "why", unacknowledged: ["kept"] }]);
    expect(told.state).toEqual(["open", "closed"] satisfies State[]);
    await clock.advance(100_000);
    expect(network.links).toHaveLength(1);
    expect(() => connection.send("late")).toThrow(expect.objectContaining({ code: "CLOSED" }));
  });

  test("with a code that the application names it is over, and with others it is not", () => {
    open({ stopOn: (code) => code >= 4000 });
    network.settle();
    cut(3000);
    expect(connection.state).toBe("waiting");
    connection.close();
    open({ stopOn: (code) => code >= 4000 });
    network.settle();
    cut(4001);
    expect(connection.state).toBe("closed");
  });
});

test("an instance that does not know the channel makes it a reset, with what was not acknowledged", async () => {
  open();
  network.settle();
  connection.send("first");
  network.settle();
  await clock.advance(1000);
  network.settle();
  connection.send("second");
  instance = start();
  cut(1012, "session moved, connect again; retry=0");
  connection.send("third");
  connection.on("reset", () => connection.send("again"));
  await clock.advance(0);
  network.settle();
  expect(told.reset).toEqual([{ unacknowledged: ["second", "third"] }]);
  expect(told.open?.at(-1)).toEqual({ resumed: false });
  expect(channel.afterReset).toBe(true);
  expect(atServer).toEqual(["first", "again"]);
});

test("what waits to be acknowledged is bounded in number and bytes; more is refused and not sent", async () => {
  open({ maxUnacknowledged: 3, maxUnacknowledgedBytes: 20, maxMessageBytes: 12 });
  connection.send("é".repeat(6));
  expect(() => connection.send("é".repeat(7))).toThrow(expect.objectContaining({ code: "TOO_LARGE" }));
  expect(() => connection.send("123456789")).toThrow(expect.objectContaining({ code: "FULL" }));
  connection.send("2");
  connection.send("3");
  expect(() => connection.send("4")).toThrow(expect.objectContaining({ code: "FULL" }));
  network.settle();
  await clock.advance(50);
  network.settle();
  expect(connection.send("5")).toBe(4);
  network.settle();
  expect(atServer).toEqual(["é".repeat(6), "2", "3", "5"]);
});

test("closing it hangs up: the channel ends at the other end, and nothing is heard any more", () => {
  open();
  network.settle();
  channel.send("under way");
  connection.close();
  network.settle();
  expect(told.close).toEqual([{ code: 1000, reason: "", unacknowledged: [] }]);
  expect(heard).toEqual([]);
  expect(instance.size).toBe(0);
  expect(() => channel.send("more")).toThrow(expect.objectContaining({ code: "ENDED" }));
});

test.each([
  ["no welcome", ["hello"], 4002],
  ["no array", "{}", 4002],
  ["no JSON", "[1,", 4002],
  ["a number out of order", [2, 0, "x"], 4002],
  ["an acknowledgement of what was never sent", [1, 7, "x"], 4002],
  ["a message that is no text", [1, 0, 5], 4002],
  ["a message that is too large", [1, 0, "x".repeat(300_000)], 4009],
  ["a frame that is too large", " ".repeat(1_600_000), 4009],
])("a server that sends %s is left with a code", (what, frame, code) => {
  open();
  if (what !== "no welcome") network.settle();
  const link = network.last;
  link.toClient.push({ kind: "text", text: typeof frame === "string" ? frame : JSON.stringify(frame) });
  link.deliverToClient();
  expect(told.close?.map((event) => event.code)).toEqual([code]);
  expect(link.toServer.at(-1)).toMatchObject({ kind: "close", code });
  expect(heard).toEqual([]);
});

test("without numbers it reconnects all the same, and a message without a connection is refused", () => {
  network = new MemoryNetwork((socket) => {
    socket.on("message", (data) => socket.send(`echo ${String(data)}`));
  });
  open({ numbered: false });
  expect(() => connection.send("early")).toThrow(expect.objectContaining({ code: "NOT_OPEN" }));
  network.settle();
  connection.send("hi");
  network.settle();
  expect(heard).toEqual(["echo hi"]);
  cut(1006);
  expect(connection.state).toBe("waiting");
});

test.each([
  { baseMs: Number.NaN },
  { capMs: 0 },
  { answerMs: Infinity },
  { maxUnacknowledged: -1 },
  { maxMessageBytes: 2 ** 31 },
])("%o is refused", (options) => {
  open();
  expect(() => connect("ws://box.test", { ...options, webSocket: network.webSocket })).toThrow(RangeError);
});

test.each([
  [1001, ""],
  [999, ""],
  [Number.NaN, ""],
  [1000, "é".repeat(62)],
])("it cannot be closed with %d and a reason of %j", (code, reason) => {
  open();
  expect(() => connection.close(code, reason)).toThrow(RangeError);
  expect(connection.state).toBe("connecting");
});
