import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { joinRoom, SETTLE_MS, type RoomClient } from "@holdover/testkit/room-client";
import { openLedger, type RoomLedger } from "@holdover/testkit/room-ledger";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parse } from "yaml";

/** The first ten minutes with Holdover, by the commands and the holdover.yaml of this repository. */

// Real processes, and several deploys one after the other, on whatever machine there is.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

let cluster: Cluster;
let clients: RoomClient[] = [];

beforeEach(async () => {
  const { services } = parse(await readFile(join(REPOSITORY, "holdover.yaml"), "utf8")) as {
    services: { rooms: Record<string, unknown> & { dir: string; session: object } };
  };
  const { rooms } = services;
  cluster = await startCluster({
    services: {
      rooms: {
        ...rooms,
        dir: join(REPOSITORY, rooms.dir),
        // Nobody waits two minutes in a test.
        session: { ...rooms.session, linger: "300ms" },
        retention: { policy: "until-empty", floor: "0s" },
      },
    },
  });
  await isCurrent("v1");
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  clients = [];
  await cluster.stop();
});

async function enterRoom(ledger: RoomLedger, name: string): Promise<RoomClient> {
  const client = await joinRoom({ url: cluster.url, ledger, name });
  clients.push(client);
  return client;
}

function releaseOf(client: RoomClient): string | undefined {
  return client.welcomes.at(-1)?.release;
}

function isCurrent(release: string): Promise<true> {
  return cluster.until(`${release} is current`, ({ services }) => services[0]?.current === release && true);
}

async function deployV2(): Promise<void> {
  await cluster.succeed("deploy", "rooms", "--release", "v2", "--dir", join(REPOSITORY, "examples/rooms-v2"));
  // The command has waited for it.
  expect((await cluster.status()).services[0]?.current).toBe("v2");
}

/** Everybody says something; nothing is lost, doubled or out of order, and nobody was dropped. */
async function talk(ledger: RoomLedger, room: readonly RoomClient[]): Promise<void> {
  for (const client of room) expect(client.say("hello")).toBeTypeOf("number");
  await ledger.settled(SETTLE_MS);
  expect({ ...ledger.account(), incidents: ledger.incidents }).toMatchObject({
    incidents: [],
    outstanding: 0,
    duplicated: 0,
    misordered: 0,
    dropped: 0,
    refused: 0,
  });
}

test("a room stays on v1 over a deploy with all who join it late, a new room opens on v2, and v1 retires when its last room ends", async () => {
  const lobby = openLedger("lobby");
  const [ada, grace] = [await enterRoom(lobby, "ada"), await enterRoom(lobby, "grace")];
  await talk(lobby, [ada, grace]);

  await deployV2();
  await talk(lobby, [ada, grace]);

  const kurt = await enterRoom(lobby, "kurt");
  expect(releaseOf(kurt)).toBe("v1");
  expect(kurt.welcomes[0]?.members).toEqual(["ada", "grace", "kurt"]);
  expect(kurt.welcomes[0]?.history).toHaveLength(4);
  await ada.leave();
  expect((await ada.rejoin()).release).toBe("v1");
  await talk(lobby, [ada, grace, kurt]);

  const garden = openLedger("garden");
  const emmy = await enterRoom(garden, "emmy");
  expect(releaseOf(emmy)).toBe("v2");
  await talk(garden, [emmy]);

  // Counts come from the router a moment later.
  await cluster.until("v1 is retained with one room of three", ({ services }) =>
    services[0]?.releases.some(
      ({ id, state, sessions }) =>
        id === "v1" && state === "retained" && sessions?.open === 1 && sessions.connections === 3,
    ),
  );

  for (const client of [ada, grace, kurt]) await client.leave();
  await cluster.until("v1 is retired", ({ services }) =>
    services[0]?.releases.some(({ id, state, instances }) => id === "v1" && state === "retired" && !instances.length),
  );
  await talk(garden, [emmy]);
  expect(releaseOf(await enterRoom(openLedger("lobby"), "ada"))).toBe("v2");
});

test("a rollback gives new rooms to v1 again without starting anything, and ends no room of v2", async () => {
  const lobby = openLedger("lobby");
  const ada = await enterRoom(lobby, "ada");
  await deployV2();
  const garden = openLedger("garden");
  const emmy = await enterRoom(garden, "emmy");
  const runningBefore = await cluster.instancePids();

  await cluster.succeed("rollback", "rooms");

  const meadow = openLedger("meadow");
  const kurt = await enterRoom(meadow, "kurt");
  expect(releaseOf(kurt)).toBe("v1");
  const [instance] = kurt.welcomes.map((welcome) => welcome.instance);
  expect([...runningBefore.keys()]).toContain(instance);
  expect((await cluster.instancePids()).get(instance ?? "")).toBe(runningBefore.get(instance ?? ""));

  const noether = await enterRoom(garden, "noether");
  expect(releaseOf(noether)).toBe("v2");
  await talk(garden, [emmy, noether]);
  await talk(lobby, [ada]);
  await talk(meadow, [kurt]);
});

test("status names the releases, and what keeps the old one alive", async () => {
  await enterRoom(openLedger("lobby"), "ada");
  await deployV2();
  const stdout = await cluster.succeed("status");
  expect(stdout).toMatch(/v2\b.*current/);
  expect(stdout).toMatch(/v1\b.*retained/);
  expect(stdout).toMatch(/v1\b.*1 open/);
  expect(stdout).toContain("until empty");
});
