import { join } from "node:path";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { io, type Socket } from "socket.io-client";
import { afterEach, expect, test, vi } from "vitest";

// Real processes, and several deploys one after the other, on whatever machine there is.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

let cluster: Cluster | undefined;
let members: Member[] = [];

afterEach(async () => {
  for (const { socket } of members) socket.disconnect();
  members = [];
  await cluster?.stop();
  cluster = undefined;
});

interface Member {
  readonly name: string;
  readonly socket: Socket;
  readonly release: string;
  readonly instance: string;
  readonly heard: string[];
  /** Why its connection ended, or was refused, without it having asked for that. */
  readonly troubles: string[];
}

/** Polls first, as socket.io does by default, and then upgrades, unless it may not. */
async function joinRoom(url: string, room: string, name: string, upgrade: boolean): Promise<Member> {
  const socket = io(url, { query: { room }, forceNew: true, upgrade, transports: ["polling", "websocket"] });
  const heard: string[] = [];
  const troubles: string[] = [];
  socket.on("said", (message: string) => heard.push(message));
  socket.on("disconnect", (reason) => {
    if (reason !== "io client disconnect") troubles.push(reason);
  });
  socket.on("connect_error", (error) => troubles.push(error.message));
  const welcome = new Promise<{ release: string; instance: string }>((resolve, reject) => {
    socket.once("welcome", resolve);
    socket.once("connect_error", reject);
  });
  const upgraded = upgrade && new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
  const { release, instance } = await welcome;
  await upgraded;
  const member = { name, socket, release, instance, heard, troubles };
  members.push(member);
  return member;
}

/** Everybody says something and hears everybody, once. */
async function talk(room: readonly Member[], topic: string): Promise<void> {
  const due = room.map(({ name }) => `${topic} of ${name}`);
  const all = room.map(async ({ socket, heard }) => {
    while (heard.length < due.length) await new Promise((resolve) => socket.once("said", resolve));
    return heard.splice(0).sort();
  });
  for (const { name, socket } of room) socket.emit("say", `${topic} of ${name}`);
  expect(await Promise.all(all)).toEqual(room.map(() => due.toSorted()));
}

test("socket.io's polls and upgrades of a room reach one instance, and a deploy in between ends none of them", async () => {
  const dir = join(REPOSITORY, "packages/testkit/apps/socket-io");
  cluster = await startCluster({
    services: {
      talk: {
        dir,
        release: "v1",
        command: ["node", "server.js"],
        instances: 2,
        session: { key: [{ query: "room" }] },
        health: { path: "/healthz" },
      },
    },
  });
  const { url } = cluster;
  await cluster.until("v1 is current", ({ services }) => services[0]?.current === "v1");

  const rooms = await Promise.all(
    ["a", "b", "c", "d"].map((room) =>
      Promise.all([
        joinRoom(url, room, "ada", true),
        joinRoom(url, room, "grace", true),
        joinRoom(url, room, "kurt, who only polls", false),
      ]),
    ),
  );
  for (const room of rooms) {
    expect(new Set(room.map(({ instance }) => instance)).size).toBe(1);
    expect(room.map(({ socket }) => socket.io.engine.transport.name)).toEqual(["websocket", "websocket", "polling"]);
    await talk(room, "before");
  }
  // Both instances have rooms, so that a poll which went astray would have met one that does not know it.
  expect(new Set(rooms.flat().map(({ instance }) => instance)).size).toBe(2);

  await cluster.succeed("deploy", "talk", "--release", "v2", "--dir", dir);
  await cluster.until("v2 is current", ({ services }) => services[0]?.current === "v2");

  for (const [index, room] of rooms.entries()) {
    const late = await joinRoom(url, ["a", "b", "c", "d"][index] ?? "", "late", index % 2 === 0);
    expect([late.release, late.instance]).toEqual(["v1", room[0].instance]);
    await talk([...room, late], "after");
  }
  const fresh = [await joinRoom(url, "e", "ada", true), await joinRoom(url, "e", "grace", false)];
  expect(fresh.map(({ release }) => release)).toEqual(["v2", "v2"]);
  await talk(fresh, "new");

  expect(members.flatMap(({ troubles }) => troubles)).toEqual([]);
});
