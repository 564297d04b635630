// An agent that is sent into calls: each job names a call by a WebSocket URL, and the agent dials out to it, as a voice
// agent dials into a room, and sends every audio frame back. A call lasts as long as whoever is on it wants.
import { AgentPool, brokerDispatcher, type Job } from "@holdover/worker";
import { WebSocket } from "ws";

/** A call that is not there within so long is none, ms. */
const DIAL_MS = 5000;
/** 20 ms of 16 kHz mono with 16 bits a sample are 640 bytes; a frame may have a few more in front. */
const FRAME_BYTES = 1024;
/** Who reads slower than this much behind is not on a call any more. */
const BEHIND_BYTES = 64 * 1024;

const pool = new AgentPool({
  agents: { echo },
  dispatcher: brokerDispatcher(),
  deploymentVersion: process.env["HOLDOVER_RELEASE"] ?? "dev",
  maxConcurrentSessions: 100,
});
await pool.run();

/** One call: from dialling in to hang-up. Where it throws, the session has failed. */
async function echo({ session, payload, signal }: Job): Promise<void> {
  const socket = new WebSocket(urlIn(payload), {
    handshakeTimeout: DIAL_MS,
    maxPayload: FRAME_BYTES,
    perMessageDeflate: false,
  });
  const call = Promise.withResolvers<void>();
  socket.on("open", () => {
    const { HOLDOVER_RELEASE: release, HOLDOVER_INSTANCE: instance } = process.env;
    socket.send(JSON.stringify({ key: session.key, fence: session.fence, release, instance }));
  });
  socket.on("message", (frame: Buffer) => {
    if (socket.bufferedAmount > BEHIND_BYTES) socket.terminate();
    else socket.send(frame);
  });
  socket.on("error", call.reject);
  socket.on("close", (code) => {
    if (code === 1000 || signal.aborted) call.resolve();
    else call.reject(new Error(`the call broke off with ${code}`));
  });
  // Cut by an operator: the call is told, and not just left.
  const onCut = (): void => socket.close(1001, "the agent has to go");
  signal.addEventListener("abort", onCut);
  await call.promise;
}

/** Whoever opens sessions may send anything. */
function urlIn(payload: unknown): URL {
  const url = typeof payload === "object" && payload !== null && "url" in payload ? payload.url : undefined;
  if (typeof url !== "string" || !/^wss?:\/\//.test(url)) throw new Error("send { url: 'ws://…' } as the payload");
  return new URL(url);
}
