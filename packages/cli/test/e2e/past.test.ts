import { join } from "node:path";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { joinRoom, type RoomClient } from "@holdover/testkit/room-client";
import { openLedger } from "@holdover/testkit/room-ledger";
import type {
  AgesView,
  AuditEntryView,
  LengthsDetailView,
  LiveSessionView,
  SessionStoryView,
  TimelineView,
} from "@holdover/control";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

/** What is told of sessions now and before, by a whole Holdover: host, link, control and its store. */

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cluster: Cluster;
const clients: RoomClient[] = [];

beforeAll(async () => {
  cluster = await startCluster({
    services: {
      rooms: {
        dir: join(REPOSITORY, "examples/rooms"),
        command: ["node", "server.js"],
        health: { path: "/healthz" },
        session: { key: [{ query: "room" }], linger: "300ms" },
      },
    },
  });
  await cluster.until("v1 is current", ({ services }) => services[0]?.current === "v1");
  clients.push(await joinRoom({ url: cluster.url, ledger: openLedger("Lobby <b>&7"), name: "ada" }));
  clients.push(await joinRoom({ url: cluster.url, ledger: openLedger("garden"), name: "grace" }));
});

afterAll(async () => {
  for (const client of clients) client.destroy();
  await cluster.stop();
});

const get = <Answer>(path: string) => cluster.api<Answer>("GET", path);
const KEY = encodeURIComponent("Lobby <b>&7");

test("a session is found by a part of its key, by the API and by the command", async () => {
  const found = await get<{ sessions: LiveSessionView[]; matches: number }>(
    "/v1/sessions?search=lobby%20%3Cb&state=open",
  );
  expect(found).toMatchObject({ sessions: [{ key: "Lobby <b>&7", state: "open", release: "v1" }], matches: 1 });
  const newest = await get<{ sessions: LiveSessionView[]; matches: number }>("/v1/sessions?order=newest&limit=1");
  expect(newest).toMatchObject({ sessions: [{ key: "garden" }], matches: 2 });
  expect(await cluster.succeed("sessions", "--search", "GARD")).toMatch(/garden/);
  expect(await cluster.json("sessions", "--search", "nobody")).toEqual([]);
});

test("a session's story goes from its pin to its end, and the timeline and the ages count it while it lives", async () => {
  const timeline = () => get<TimelineView>("/v1/services/rooms/timeline?points=2");
  await vi.waitFor(async () => {
    expect((await timeline()).lanes).toEqual([{ release: "v1", sessions: [null, 2] }]);
  });
  expect((await timeline()).marks.map(({ kind }) => kind)).toEqual(["release.starting", "release.current"]);
  const { releases } = await get<AgesView>("/v1/services/rooms/ages");
  expect(releases).toMatchObject([{ release: "v1", open: [2, 0, 0, 0, 0, 0, 0] }]);
  const story = () => get<SessionStoryView>(`/v1/services/rooms/session?key=${KEY}`);
  expect(await story()).toMatchObject({ live: { key: "Lobby <b>&7", connections: 1 }, ended: [], entries: [] });
  await clients[0]?.leave();
  await vi.waitFor(
    async () => expect(await story()).toMatchObject({ live: null, ended: [{ release: "v1", reason: "expired" }] }),
    { timeout: 10_000, interval: 50 },
  );
  await vi.waitFor(async () => {
    expect((await timeline()).lanes[0]?.sessions.at(-1)).toBe(1);
  });
  // Ages, and what follows from them, are told again for a few seconds.
  await vi.waitFor(
    async () => {
      const lengths = await get<LengthsDetailView>("/v1/services/rooms/lengths");
      expect(lengths).toMatchObject({ known: false, residual: [{ release: "v1", sessions: 1, known: false }] });
      expect(lengths.days).toMatchObject([{ ends: 1, p50Ms: null }]);
    },
    { timeout: 20_000, interval: 200 },
  );
});

test("the audit log is searched by what its entries are of", async () => {
  const { entries } = await get<{ entries: AuditEntryView[] }>(
    "/v1/audit?service=rooms&release=v1&kind=release.&tail=2",
  );
  expect(entries.map(({ kind }) => kind)).toEqual(["release.ready", "release.current"]);
});
