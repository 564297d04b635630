import { join } from "node:path";
import { REPOSITORY, startCluster, type Cluster, type ClusterStatus } from "@holdover/testkit/cluster";
import { joinRoom, type RoomClient } from "@holdover/testkit/room-client";
import { openLedger, type RoomLedger } from "@holdover/testkit/room-ledger";
import { afterEach, describe, expect, test, vi } from "vitest";

const ROOMS = join(REPOSITORY, "examples", "rooms");

const rooms = {
  dir: ROOMS,
  release: "v1",
  command: ["node", "server.js"],
  instances: 2,
  session: { key: [{ query: "room" }], linger: "10s" },
  health: { path: "/healthz" },
};

interface Room {
  readonly ledger: RoomLedger;
  readonly members: RoomClient[];
}

const WAIT = { timeout: 15_000, interval: 200 };

/** What the API tells of an audit entry, as far as these tests read it. */
interface Entry {
  readonly kind: string;
  readonly instance?: string;
  readonly session?: string;
}

let cluster: Cluster | undefined;
let stopTalking = (): void => {};
const everybody: RoomClient[] = [];

afterEach(async () => {
  stopTalking();
  for (const client of everybody.splice(0)) client.destroy();
  await cluster?.stop();
  cluster = undefined;
});

async function start(more: Record<string, unknown> = {}): Promise<Cluster> {
  cluster = await startCluster({ services: { rooms: { ...rooms, ...more } } });
  await cluster.until("v1 is current", (status) => status.services[0]?.current === "v1");
  return cluster;
}

async function openRooms(url: string, count: number): Promise<Room[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const ledger = openLedger(`room-${index}`);
      const members = await Promise.all(["ana", "ben"].map((name) => joinRoom({ url, name, ledger })));
      everybody.push(...members);
      return { ledger, members };
    }),
  );
}

/** Everybody says something over and over, until `stopTalking`. */
function talk(open: readonly Room[]): void {
  const timer = setInterval(() => {
    for (const { members } of open) for (const member of members) member.say("hello");
  }, 20);
  stopTalking = () => clearInterval(timer);
}

const instanceOf = (room: Room, connection = 0): string | undefined =>
  room.members[0]?.welcomes.at(connection)?.instance;

const open = (status: ClusterStatus): number => status.services[0]?.sessions?.open ?? -1;

async function backAgain(open: readonly Room[], connections: number): Promise<void> {
  const members = open.flatMap((room) => room.members);
  await expect
    .poll(() => members.every((member) => member.welcomes.length >= connections), { timeout: 15_000 })
    .toBe(true);
}

describe("kill -9 under load", () => {
  test("of control: no session notices, control is started again, and the next deploy works", async () => {
    const running = await start();
    const open = await openRooms(running.url, 10);
    talk(open);
    const before = await running.controlPid();
    await running.kill("control");
    await running.until(
      "control is back",
      (status) => status.router.linked && status.services[0]?.sessions?.open === 10,
    );
    expect(await running.controlPid()).not.toBe(before);
    await running.succeed("deploy", "rooms", "--release", "v2", "--dir", ROOMS);
    stopTalking();
    for (const { ledger } of open) {
      expect(await ledger.settled(5000)).toBe(0);
      expect(ledger.account()).toMatchObject({ outstanding: 0, duplicated: 0, dropped: 0 });
    }
    expect((await running.run("audit", "verify")).code).toBe(0);
  });

  test("of control in the middle of a deploy: the deploy goes on and ends as it should", async () => {
    const running = await start();
    const open = await openRooms(running.url, 4);
    talk(open);
    const deploy = running.run("deploy", "rooms", "--release", "v2", "--dir", ROOMS);
    await running.until("v2 is starting", (status) => status.services[0]?.releases.some((one) => one.id === "v2"));
    await running.kill("control");
    const result = await deploy;
    expect(result.stderr + result.stdout).toContain("v2");
    expect(result.code).toBe(0);
    stopTalking();
    for (const { ledger } of open) expect(ledger.account().dropped).toBe(0);
    const status = await running.status();
    expect(status.services[0]?.current).toBe("v2");
    expect(status.services[0]?.releases.map(({ id, state }) => [id, state])).toEqual([
      ["v1", "retained"],
      ["v2", "current"],
    ]);
    expect((await running.run("audit", "verify")).code).toBe(0);
  });

  test("of host: instances live on and are adopted, pins are read back, and everybody comes back to the same instance", async () => {
    const running = await start();
    const open = await openRooms(running.url, 10);
    await running.succeed("deploy", "rooms", "--release", "v2", "--dir", ROOMS);
    talk(open);
    const pids = await running.instancePids();
    const places = open.map((room) => instanceOf(room));
    const atKill = open.map((room) => Math.max(...room.members.map((member) => member.welcomes.length)));
    await running.kill("host");
    await running.restart();
    await backAgain(open, Math.max(...atKill) + 1);
    stopTalking();
    expect(open.map((room) => instanceOf(room, -1))).toEqual(places);
    expect(open.flatMap((room) => room.members.map((member) => member.welcomes.at(-1)?.release))).toEqual(
      Array.from({ length: 20 }, () => "v1"),
    );
    const after = await running.instancePids();
    for (const place of new Set(places)) expect(after.get(place ?? "")).toBe(pids.get(place ?? ""));
    await running.until("all sessions are open again", (status) => status.services[0]?.sessions?.open === 10);
    const entries = await running.api<{ entries: Entry[] }>("GET", "/v1/audit?tail=1000");
    expect(entries.entries.filter((entry) => entry.kind.startsWith("session."))).toEqual([]);
    expect((await running.run("audit", "verify")).code).toBe(0);
  });

  test("of an instance: its sessions are counted as disrupted and placed anew, and nobody else notices", async () => {
    const running = await start();
    const open = await openRooms(running.url, 10);
    talk(open);
    const victim = instanceOf(open[0] as Room) as string;
    const hit = open.filter((room) => instanceOf(room) === victim);
    const spared = open.filter((room) => instanceOf(room) !== victim);
    expect(spared.length).toBeGreaterThan(0);
    await running.kill({ instance: victim });
    await backAgain(hit, 2);
    stopTalking();
    for (const room of hit) {
      const latest = room.members.map((member) => member.welcomes.at(-1)?.instance);
      expect(new Set(latest).size).toBe(1);
      expect(latest[0]).not.toBe(victim);
    }
    for (const { ledger } of spared) expect(ledger.account()).toMatchObject({ dropped: 0, duplicated: 0 });
    await vi.waitFor(async () => {
      const { entries } = await running.api<{ entries: Entry[] }>("GET", "/v1/audit?tail=1000");
      const disrupted = entries.filter((entry) => entry.kind === "session.disrupted" && entry.instance === victim);
      expect(disrupted.map((entry) => entry.session ?? "").toSorted()).toEqual(
        hit.map((room) => room.ledger.room).toSorted(),
      );
    }, WAIT);
    await running.until("the instance is replaced", (status) => {
      const alive = status.services[0]?.releases[0]?.instances.filter((one) => one.state === "ready") ?? [];
      return alive.length === 2 && alive.every((one) => one.id !== victim);
    });
    expect((await running.run("audit", "verify")).code).toBe(0);
  });

  test("of an instance whose people do not come back: each session is counted as lost, once", async () => {
    const running = await start({ session: { key: [{ query: "room" }], linger: "1s" } });
    const open = await openRooms(running.url, 6);
    const victim = instanceOf(open[0] as Room) as string;
    const hit = open.filter((room) => instanceOf(room) === victim).map((room) => room.ledger.room);
    await running.kill({ instance: victim });
    for (const room of open) if (hit.includes(room.ledger.room)) for (const member of room.members) member.destroy();
    await vi.waitFor(async () => {
      const { sessions } = await running.api<{ sessions: { key: string; reason: string }[] }>("GET", "/v1/history");
      expect(sessions.map(({ key, reason }) => `${key} ${reason}`).toSorted()).toEqual(
        hit.map((key) => `${key} lost`).toSorted(),
      );
    }, WAIT);
  });

  test("of host and control and every instance: what is started again is empty of sessions and serves", async () => {
    const running = await start();
    const open = await openRooms(running.url, 4);
    const instances = await running.instancePids();
    await running.kill("control");
    await running.kill("host");
    for (const pid of instances.values()) process.kill(pid, "SIGKILL");
    await running.restart();
    await backAgain(open, 2);
    const { entries } = await running.api<{ entries: Entry[] }>("GET", "/v1/audit?tail=1000");
    expect(entries.filter((entry) => entry.kind === "session.disrupted")).toHaveLength(4);
    expect((await running.run("audit", "verify")).code).toBe(0);
  });
});

test("a second up on the same directory is refused by name, and the first goes on", async () => {
  const running = await start();
  const second = await running.run("up");
  expect(second.code).toBe(4);
  expect(second.stderr).toContain("ALREADY_RUNNING");
  expect(open(await running.status())).toBe(0);
});
