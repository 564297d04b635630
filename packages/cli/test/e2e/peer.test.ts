import { once } from "node:events";
import { join } from "node:path";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterEach, expect, test, vi } from "vitest";
import { WebSocket } from "ws";

/**
 * The signalling server of PeerJS, straight from npm and not changed. Two peers that are to meet need the same process:
 * it keeps them in memory. Its URLs have nothing that two peers of a call share (`id` and `token` are each peer's own,
 * `key` is the server's), but browsers send the page's cookies along with a WebSocket: a page that sets a cookie with
 * the call's name makes the call a session.
 */

// Real processes, and several deploys one after the other, on whatever machine there is.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

let cluster: Cluster | undefined;
let peers: Peer[] = [];

afterEach(async () => {
  for (const peer of peers) peer.socket.terminate();
  peers = [];
  await cluster?.stop();
  cluster = undefined;
});

interface Signal {
  readonly type: string;
  readonly src?: string;
  readonly payload?: unknown;
}

interface Peer {
  readonly id: string;
  readonly socket: WebSocket;
  send(type: string, to: Peer, payload: unknown): void;
  next(type: string): Promise<Signal>;
}

/** Connects as peerjs does: id and token in the query, then a message of type OPEN. */
async function connectPeer(url: string, call: string, id: string): Promise<Peer> {
  const query = new URLSearchParams({ key: "peerjs", id, token: `token-of-${id}`, version: "1.5.5" });
  const socket = new WebSocket(`${url.replace("http", "ws")}/peerjs?${query.toString()}`, {
    headers: { cookie: `call=${call}` },
  });
  const heard: Signal[] = [];
  const waiting = new Set<() => void>();
  socket.on("message", (data: Buffer) => {
    heard.push(JSON.parse(data.toString("utf8")) as Signal);
    for (const look of waiting) look();
  });
  const peer: Peer = {
    id,
    socket,
    send: (type, to, payload) => socket.send(JSON.stringify({ type, dst: to.id, payload })),
    next: (type) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const at = heard.findIndex((signal) => signal.type === type);
          const [found] = at === -1 ? [] : heard.splice(at, 1);
          if (!found) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        socket.once("close", (code) => reject(new Error(`${id} was closed with ${code} before ${type} came`)));
        look();
      }),
  };
  peers.push(peer);
  await Promise.race([peer.next("OPEN"), once(socket, "error").then(([error]) => Promise.reject(error as Error))]);
  return peer;
}

async function releaseOfCall(cluster: Cluster, call: string): Promise<string | undefined> {
  const { sessions } = await cluster.api<{ sessions: { key: string; release: string }[] }>("GET", "/v1/sessions");
  return sessions.find(({ key }) => key === call)?.release;
}

test("PeerJS's own server is deployed twice under live calls, and their peers still reach each other", async () => {
  const dir = join(REPOSITORY, "packages/testkit/apps/peer");
  cluster = await startCluster({
    services: {
      signalling: {
        dir,
        release: "v1",
        command: ["node", "server.js"],
        instances: 2,
        session: { key: [{ cookie: "call" }] },
        health: { path: "/" },
      },
    },
  });
  const { url } = cluster;
  await cluster.until("v1 is current", ({ services }) => services[0]?.current === "v1");

  const alice = await connectPeer(url, "monday", "alice");
  const bob = await connectPeer(url, "monday", "bob");
  alice.send("OFFER", bob, { sdp: "before" });
  expect(await bob.next("OFFER")).toEqual({ type: "OFFER", src: "alice", dst: "bob", payload: { sdp: "before" } });

  for (const release of ["v2", "v3"]) {
    await cluster.succeed("deploy", "signalling", "--release", release, "--dir", dir);
    await cluster.until(`${release} is current`, ({ services }) => services[0]?.current === release);

    bob.send("ANSWER", alice, { sdp: release });
    expect(await alice.next("ANSWER")).toMatchObject({ src: "bob", payload: { sdp: release } });

    const late = await connectPeer(url, "monday", `late-${release}`);
    late.send("CANDIDATE", alice, { candidate: release });
    expect(await alice.next("CANDIDATE")).toMatchObject({ src: late.id, payload: { candidate: release } });
    expect(await releaseOfCall(cluster, "monday")).toBe("v1");

    const call = `call-on-${release}`;
    const carol = await connectPeer(url, call, `carol-${release}`);
    const dave = await connectPeer(url, call, `dave-${release}`);
    carol.send("OFFER", dave, { sdp: call });
    expect(await dave.next("OFFER")).toMatchObject({ src: carol.id, payload: { sdp: call } });
    expect(await releaseOfCall(cluster, call)).toBe(release);
  }

  expect(peers.map(({ socket }) => socket.readyState)).toEqual(peers.map(() => WebSocket.OPEN));
});
