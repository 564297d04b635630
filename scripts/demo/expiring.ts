import { once } from "node:events";
import { REPOSITORY, startCluster } from "@holdover/testkit/cluster";
import { join } from "node:path";
import { WebSocket } from "ws";
import type { Progress } from "./progress.ts";

/** A window that expires under live rooms: real clients are moved, a few at a time, and come back on the new release. */

const ROOMS = 20;
const CLIENTS_EACH = 3;
const CLIENTS = ROOMS * CLIENTS_EACH;
/** Of the service's connections, no more than this share is closed within the period. */
const CAP = 0.1;
const PERIOD_MS = 400;
/** Enough to close everybody at that pace twice over. */
const GRACE_MS = 15_000;
const MOVED_MS = 20_000;
/** Close frames of one moment arrive a little apart: what is seen in a period is counted in one that is this much shorter. */
const JITTER_MS = 50;

/** What the clients saw of a window that was over. */
export interface Expired {
  /** Connections closed with 1012, "service restart": connect again. */
  moved: number;
  /** Connections closed in any other way. */
  closedOtherwise: number;
  /** The most that were closed within one period, and the most that the cap allows. */
  mostAtOnce: number;
  cap: number;
  /** Clients that came back on the new release. */
  backOnNew: number;
  retired: boolean;
}

export async function expire(progress: Progress): Promise<Expired> {
  const cluster = await startCluster({
    services: {
      rooms: {
        dir: build("rooms"),
        release: "v1",
        command: ["node", "server.js"],
        session: { key: [{ query: "room" }], linger: "1s" },
        health: { path: "/healthz" },
        retention: { policy: "fixed", window: "1s", floor: "0s", grace: `${GRACE_MS}ms` },
        disconnects: { atOnce: CAP, period: `${PERIOD_MS}ms` },
      },
    },
  });
  const clients: Client[] = [];
  try {
    await cluster.until("v1 is current", ({ services }) => services[0]?.current === "v1");
    await progress.step(`a window of 1 s: ${ROOMS} rooms of ${CLIENTS_EACH} open`, async () => {
      for (let at = 0; at < CLIENTS; at++) clients.push(connect(cluster.url, `room-${at % ROOMS}`));
      await Promise.all(clients.map((client) => client.welcomedBy("v1")));
      return `${CLIENTS} clients on v1`;
    });
    await progress.step("holdover deploy rooms --release v2", async () => {
      await cluster.succeed("deploy", "rooms", "--release", "v2", "--dir", build("rooms-v2"));
      return "v2 is current, and v1 may finish for 1 s";
    });
    await progress.step("the window is over: v1 is asked to move", async () => {
      const late = AbortSignal.timeout(MOVED_MS);
      await Promise.all(clients.map((client) => Promise.race([client.welcomedBy("v2"), aborted(late)])));
      return `${clients.length} clients came back on v2, ${busiest(clients)} closed at once at the most`;
    });
    await cluster.until("v1 is retired", ({ services }) =>
      services[0]?.releases.some(({ id, state }) => id === "v1" && state === "retired"),
    );
    const closes = clients.flatMap((client) => client.closes);
    return {
      moved: closes.filter(({ code }) => code === 1012).length,
      closedOtherwise: closes.filter(({ code }) => code !== 1012).length,
      mostAtOnce: busiest(clients),
      cap: Math.floor(CLIENTS * CAP),
      backOnNew: clients.filter((client) => client.release === "v2").length,
      retired: true,
    };
  } finally {
    for (const client of clients) client.destroy();
    await cluster.stop();
  }
}

/** Whether all of it is as it was promised. */
export function isSound({ moved, closedOtherwise, mostAtOnce, cap, backOnNew }: Expired): boolean {
  return moved === CLIENTS && closedOtherwise === 0 && mostAtOnce <= cap && backOnNew === CLIENTS;
}

interface Client {
  readonly closes: readonly { readonly atMs: number; readonly code: number }[];
  readonly release: string | undefined;
  /** Resolves when this release has welcomed it. */
  welcomedBy(release: string): Promise<void>;
  destroy(): void;
}

/** A client as a user's is: it connects again whenever its connection was closed. */
function connect(url: string, room: string): Client {
  const closes: { atMs: number; code: number }[] = [];
  const waiting = new Map<string, () => void>();
  let release: string | undefined;
  let socket: WebSocket;
  let over = false;
  const open = (): void => {
    socket = new WebSocket(`${url.replace("http", "ws")}/?room=${room}`);
    // What went wrong is told by the close that follows.
    socket.on("error", () => {});
    socket.on("message", (data: Buffer) => {
      const told = JSON.parse(data.toString()) as { type: string; release?: string };
      if (told.type !== "welcome") return;
      release = told.release;
      waiting.get(release ?? "")?.();
    });
    socket.on("close", (code) => {
      if (over) return;
      closes.push({ atMs: performance.now(), code });
      open();
    });
  };
  open();
  return {
    closes,
    get release() {
      return release;
    },
    welcomedBy: (wanted) =>
      new Promise((resolve) => {
        if (release === wanted) resolve();
        else waiting.set(wanted, resolve);
      }),
    destroy: () => {
      over = true;
      socket.terminate();
    },
  };
}

/** The most connections that were closed within one period. */
function busiest(clients: readonly Client[]): number {
  const times = clients.flatMap((client) => client.closes.map(({ atMs }) => atMs)).toSorted((a, b) => a - b);
  return times.reduce((most, from, at) => {
    const within = times.slice(at).filter((time) => time < from + PERIOD_MS - JITTER_MS).length;
    return Math.max(most, within);
  }, 0);
}

async function aborted(signal: AbortSignal): Promise<never> {
  await once(signal, "abort");
  throw new Error("not everybody came back on v2 in time");
}

function build(name: string): string {
  return join(REPOSITORY, "examples", name);
}
