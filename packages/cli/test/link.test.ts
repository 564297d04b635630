import { mkdtemp, rm, stat } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openControlLink, type ControlLink } from "@holdover/adapters/dataplanes/router";
import {
  encodeMessage,
  HoldoverError,
  type Clock,
  type Instance,
  type LinkAsk,
  type LinkCall,
  type RoutingTable,
  type SessionEvent,
} from "@holdover/core";
import { openHostLink, type HostLink } from "@holdover/router";
import { IDLE_HOST, idleTraffic } from "@holdover/testkit/idle-host";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { MemoryPinStore } from "@holdover/testkit/memory-pin-store";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../src/system-clock.ts";

let dir: string;
let socketPath: string;
const KEY = "k".repeat(43);
const closing: (() => unknown)[] = [];
let answers: (ask: LinkAsk) => Promise<unknown> = async () => null;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-link-"));
  socketPath = join(dir, "link.sock");
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await rm(dir, { recursive: true });
});

async function openControl(clock: Clock = systemClock): Promise<ControlLink> {
  const link = await openControlLink({
    socketPath,
    clock,
    sign: (table) => ({ body: JSON.stringify(table), signatures: [{ key: KEY, signature: "" }] }),
    answer: (ask) => answers(ask),
    log: () => {},
  });
  closing.push(() => link.close());
  return link;
}

interface FakeHost {
  readonly link: HostLink;
  readonly pins: MemoryPinStore;
  readonly calls: LinkCall[];
  instances: Instance[] | null;
  tableNumber: number;
  answer: (call: LinkCall) => Promise<unknown>;
}

function openHost(name = "host-1", clock: Clock = systemClock): FakeHost {
  const pins = new MemoryPinStore();
  const calls: LinkCall[] = [];
  const host: Omit<FakeHost, "link"> = { pins, calls, instances: [], tableNumber: 0, answer: async () => null };
  const link = openHostLink({
    socketPath,
    clock,
    host: name,
    address: "http://127.0.0.1:8080",
    pins,
    instances: () => host.instances,
    counts: (links) => ({
      tableNumber: host.tableNumber,
      closing: false,
      sessions: { "rooms-v1-1": { open: 1, lingering: 0, connections: 2, wedged: 0 } },
      traffic: idleTraffic(),
      health: { ...IDLE_HOST, links },
    }),
    handle: async (call) => {
      calls.push(call);
      return host.answer(call);
    },
    log: () => {},
  });
  closing.push(() => link.close());
  return Object.assign(host, { link });
}

async function endSession(pins: MemoryPinStore, key: string): Promise<void> {
  const pin = await pins.place(
    { service: "rooms", key, release: "v1", instance: "rooms-v1-1", openedAtMs: 1, label: null },
    null,
    1,
  );
  await pins.end([{ ...pin, reason: "expired", endedAtMs: 2, connectionsClosed: 0 }], 2);
}

const table: RoutingTable = { number: 7, services: [] };

describe("the control link", () => {
  test("what is not known yet is null, never zero", async () => {
    const { dataPlane, platform } = await openControl();
    expect([dataPlane.counts(), dataPlane.tableInForce(), dataPlane.traffic(), platform.instances()]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });

  test("asks the host for sessions, with all that is sought", async () => {
    const control = await openControl();
    const host = openHost();
    const found = { sessions: [], matches: 12 };
    host.answer = async () => found;
    await vi.waitFor(() => expect(control.linked()).toBe(true));
    const query = { service: "rooms", search: "É\n", state: "open", order: "newest", limit: 3 } as const;
    expect(await control.dataPlane.sessions(query)).toEqual(found);
    expect(host.calls).toEqual([{ name: "sessions", query }]);
  });

  test("asks the host how old its sessions are", async () => {
    const control = await openControl();
    const host = openHost();
    const bins = { ageMs: [5.5, 7], count: [1, 2], sessions: 3 };
    const none = { ageMs: [], count: [], sessions: 0 };
    const group = { release: "v1", instance: null, label: "support", open: bins, jobs: 1, lingering: none };
    host.answer = async () => ({ atMs: 9, groups: [group] });
    await vi.waitFor(() => expect(control.linked()).toBe(true));
    const query = { service: "rooms", by: "release" } as const;
    expect(await control.dataPlane.ages(query)).toEqual({ atMs: 9, groups: [group] });
    expect(host.calls).toEqual([{ name: "ages", query }]);
  });

  test("opens a session on the host, and tells why it could not", async () => {
    const control = await openControl();
    const host = openHost();
    await vi.waitFor(() => expect(control.linked()).toBe(true));
    const request = { service: "rooms", key: null, agent: "a", tenant: "t", label: null, payload: { list: [1, "é"] } };
    const opened = { key: "call-1", release: "v1", instance: "rooms.v1-1", fence: 3, already: true };
    host.answer = async () => opened;
    expect(await control.dataPlane.open(request)).toEqual(opened);
    expect(host.calls).toEqual([{ name: "open", request }]);
    const details = { service: "rooms", key: "call-1", reasons: "1 full" };
    host.answer = async () => {
      throw new HoldoverError("WORKER_NONE", details);
    };
    await expect(control.dataPlane.open(request)).rejects.toMatchObject({ code: "WORKER_NONE", details });
  });

  test("moves a session on the host, and tells why it could not", async () => {
    const control = await openControl();
    const host = openHost();
    await vi.waitFor(() => expect(control.linked()).toBe(true));
    const moved = { release: "v1", instance: "rooms.v1-1", fence: 3, connections: 2, job: false, to: "v2" };
    host.answer = async () => moved;
    const move = { service: "rooms", key: "a <b>room</b>", fence: 3 };
    expect(await control.dataPlane.move(move)).toEqual(moved);
    expect(host.calls).toEqual([{ name: "move", move }]);
    const details = { service: "rooms", key: move.key };
    host.answer = async () => {
      throw new HoldoverError("SESSION_NOT_LIVE", details);
    };
    await expect(control.dataPlane.move({ ...move, fence: null })).rejects.toMatchObject({
      code: "SESSION_NOT_LIVE",
      details,
    });
  });

  test("control sees instances, counts and the table in force once the host is there, and forgets them when it goes", async () => {
    const control = await openControl();
    const host = openHost();
    await vi.waitFor(() =>
      expect(control.dataPlane.counts()?.get("rooms-v1-1")).toEqual({
        open: 1,
        lingering: 0,
        connections: 2,
        wedged: 0,
      }),
    );
    expect(control.platform.instances()).toEqual([]);
    expect(control.dataPlane.tableInForce()).toBe(0);
    host.link.close();
    await vi.waitFor(() => expect(control.dataPlane.counts()).toBeNull());
    expect(control.platform.instances()).toBeNull();
    expect(control.linked()).toBe(false);
  });

  test("a call is answered by the host, also with the host's own error", async () => {
    const control = await openControl();
    const host = openHost();
    await vi.waitFor(() => expect(control.linked()).toBe(true));
    await control.dataPlane.apply(table);
    expect(host.calls).toEqual([
      { name: "apply", table: { body: JSON.stringify(table), signatures: [{ key: KEY, signature: "" }] } },
    ]);
    host.answer = () => Promise.reject(new HoldoverError("INSTANCE_UNKNOWN", { instance: "x" }));
    await expect(control.platform.stop("x", 1)).rejects.toMatchObject({
      code: "INSTANCE_UNKNOWN",
      details: { instance: "x" },
    });
  });

  test("a call without a host, or whose host goes away, fails at once as LINK_DOWN", async () => {
    const control = await openControl();
    await expect(control.dataPlane.apply(table)).rejects.toMatchObject({ code: "LINK_DOWN" });
    const host = openHost();
    await vi.waitFor(() => expect(control.linked()).toBe(true));
    host.answer = () => new Promise(() => {});
    const call = control.dataPlane.release("rooms-v1-1");
    await vi.waitFor(() => expect(host.calls).toHaveLength(1));
    host.link.close();
    await expect(call).rejects.toMatchObject({ code: "LINK_DOWN" });
  });

  test("the host comes back by itself after control was away, and tells all again", async () => {
    const first = await openControl();
    const host = openHost();
    host.tableNumber = 3;
    await vi.waitFor(() => expect(first.dataPlane.tableInForce()).toBe(3));
    await first.close();
    const second = await openControl();
    await vi.waitFor(() => expect(second.dataPlane.tableInForce()).toBe(3));
    expect(second.platform.instances()).toEqual([]);
  });

  test("session events arrive in order, once stored are forgotten by the host, and come again when they were not stored", async () => {
    const host = openHost();
    for (const key of ["a", "b", "c"]) await endSession(host.pins, key);
    const seen: SessionEvent[][] = [];
    let fail = true;
    const control = await openControl();
    control.dataPlane.onEvents(async (name, events) => {
      expect(name).toBe("host-1");
      seen.push([...events]);
      if (fail) {
        fail = false;
        throw new Error("disk full");
      }
    });
    await vi.waitFor(async () => expect(await host.link.drained()).toBe(true), { timeout: 5000 });
    const keys = seen.map((events) => events.map((event) => event.kind === "ended" && event.session.key));
    expect(keys).toEqual([
      ["a", "b", "c"],
      ["a", "b", "c"],
    ]);
    await endSession(host.pins, "d");
    host.link.countsChanged();
    await vi.waitFor(() => expect(seen).toHaveLength(3), { timeout: 5000 });
  });

  test("session events that come before anybody listens are kept by the host until somebody does", async () => {
    const host = openHost();
    await endSession(host.pins, "a");
    const control = await openControl();
    await vi.waitFor(() => expect(control.dataPlane.counts()).not.toBeNull());
    // The answer to a call comes after the events that were sent before it.
    await control.dataPlane.apply(table);
    expect(await host.link.drained()).toBe(false);
    const seen: SessionEvent[] = [];
    control.dataPlane.onEvents(async (_, events) => void seen.push(...events));
    await vi.waitFor(async () => expect(await host.link.drained()).toBe(true));
    expect(seen).toHaveLength(1);
  });

  test("a host that does not answer is taken for out of reach: all calls to it fail, and what it told is not known", async () => {
    const clock = new ManualClock();
    const control = await openControl(clock);
    const host = openHost();
    await vi.waitFor(() => expect(control.linked()).toBe(true));
    host.answer = () => new Promise(() => {});
    const calls = [control.dataPlane.release("rooms-v1-1"), control.platform.stop("rooms-v1-1", 1)];
    await vi.waitFor(() => expect(host.calls).toHaveLength(2));
    const results = Promise.allSettled(calls);
    await clock.advance(10_000);
    expect(await results).toMatchObject(calls.map(() => ({ status: "rejected", reason: { code: "LINK_DOWN" } })));
    // It connects again by itself, and is heard again.
    await vi.waitFor(() => expect(control.dataPlane.counts()).not.toBeNull());
  });

  test("a host says how it is every 5 s although nothing changes, and control knows how long it has been silent", async () => {
    const hostClock = new ManualClock();
    const clock = new ManualClock();
    const control = await openControl(clock);
    expect(control.health()).toMatchObject({ silentMs: null, host: null });
    openHost("host-1", hostClock);
    await vi.waitFor(() => expect(control.health().host).toEqual({ ...IDLE_HOST, links: 1 }));
    await clock.advance(7000);
    expect(control.health().silentMs).toBe(7000);
    await hostClock.advance(5000);
    await vi.waitFor(() => expect(control.health().silentMs).toBe(0));
  });

  test("a table that came into force is counted with the time that it took, and one that did not is not", async () => {
    const control = await openControl();
    const applied = () => control.health().applying.counts.reduce((sum, count) => sum + count, 0);
    await expect(control.dataPlane.apply(table)).rejects.toMatchObject({ code: "LINK_DOWN" });
    const host = openHost();
    await vi.waitFor(() => expect(control.linked()).toBe(true));
    expect(applied()).toBe(0);
    await control.dataPlane.apply(table);
    expect(applied()).toBe(1);
    host.answer = () => Promise.reject(new HoldoverError("STORE_FAILED", { file: "host.db", problem: "full" }));
    await expect(control.dataPlane.apply(table)).rejects.toMatchObject({ code: "STORE_FAILED" });
    expect(applied()).toBe(1);
  });

  test("each link that a host makes is counted, from its first on", async () => {
    const first = await openControl();
    openHost();
    await vi.waitFor(() => expect(first.health().host?.links).toBe(1));
    await first.close();
    const second = await openControl();
    await vi.waitFor(() => expect(second.health().host?.links).toBe(2));
  });

  test("closing it does not wait for somebody who connected and never said who it is", async () => {
    const control = await openControl();
    const socket = createConnection(socketPath);
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => {}).resume();
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    await control.close();
    await expect(closed).resolves.toBeUndefined();
  });

  test("garbage, a wrong protocol and an endless line close that link and nothing else", async () => {
    const control = await openControl();
    const host = openHost();
    await vi.waitFor(() => expect(control.linked()).toBe(true));
    const send = (text: string): Promise<void> =>
      new Promise((resolve) => {
        const socket: Socket = createConnection(socketPath, () => socket.write(text));
        socket.on("error", () => {});
        socket.once("close", () => resolve());
        socket.resume();
      });
    await send("{not json\n");
    await send(encodeMessage({ type: "hello", protocol: 99, host: "other", address: "" }));
    await send("x".repeat(17 * 1024 * 1024));
    expect(control.linked()).toBe(true);
    await control.dataPlane.apply(table);
    expect(host.calls).toHaveLength(1);
  });

  test("the socket is for its owner alone", async () => {
    await openControl();
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
  });
});
