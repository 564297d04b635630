import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { readWav } from "./wav.ts";

/** Callers with audio: they wait for an agent to dial in, talk to it in real time, and compare what comes back. */

/** A frame each 20 ms: 320 samples of 16 kHz, 16 bits. */
const FRAME_MS = 20;
const FRAME_BYTES = 640;
/** In front of each frame: its number. */
const HEAD_BYTES = 4;
/** How often it is looked which frames are due, ms. */
const TICK_MS = 5;
/** An agent that was sent has to be there within so long, ms. */
const DIAL_MS = 10_000;
/** What was said last comes back within so long, ms; what does not is lost. */
const ECHO_MS = 5000;

export interface Agent {
  readonly release: string;
  readonly instance: string;
}

/** What became of a call. */
export interface CallOutcome {
  readonly sent: number;
  /** Frames that came back, whole, in order, once. */
  readonly echoed: number;
  /** That came back as something else, or twice, or not in their turn. */
  readonly changed: number;
  /** It broke off before the caller hung up. */
  readonly brokeOff: boolean;
}

/** A call that waits for its agent, and then runs. */
interface Call {
  /** Where the agent is to dial. */
  readonly url: string;
  /** Resolves when it is there. @throws Error where none comes in time */
  readonly agent: Promise<Agent>;
  /** Talks for so long after the agent has come, then hangs up. Never rejects. */
  talk(ms: number): Promise<CallOutcome>;
}

export interface Exchange {
  open(name: string): Call;
  /** Calls that run now. */
  live(): number;
  /** Frames that came back so far. */
  echoed(): number;
  /** From when a frame was sent to when it was back, of the slowest percent, ms. */
  slowestPercentMs(): number;
  close(): Promise<void>;
}

interface Waiting {
  readonly connected: PromiseWithResolvers<WebSocket>;
}

export async function openExchange(): Promise<Exchange> {
  const audio = readWav(new URL("call.wav", import.meta.url));
  const waiting = new Map<string, Waiting>();
  const running = new Set<() => void>();
  const roundTrips: number[] = [];
  let echoedInAll = 0;
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, maxPayload: 4096 });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.on("connection", (socket, request) => {
    const name = (request.url ?? "").slice(1);
    // What went wrong is told by the close that follows.
    socket.on("error", () => {});
    const call = waiting.get(name);
    if (!waiting.delete(name) || !call) socket.close(4404, "no such call");
    else call.connected.resolve(socket);
  });
  const ticking = setInterval(() => {
    for (const tick of running) tick();
  }, TICK_MS);

  const talk = async (socket: WebSocket, ms: number): Promise<CallOutcome> => {
    const startedAt = performance.now();
    const frames = Math.round(ms / FRAME_MS);
    const over = Promise.withResolvers<void>();
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    let sent = 0;
    let echoed = 0;
    let changed = 0;
    let brokeOff = false;
    /** The number that is due next. */
    let next = 0;
    const tick = (): void => {
      const due = Math.min(frames, Math.floor((performance.now() - startedAt) / FRAME_MS) + 1);
      for (; sent < due; sent += 1) socket.send(frameOf(audio, sent));
    };
    socket.on("message", (frame: Buffer) => {
      const number = frame.length >= HEAD_BYTES ? frame.readUInt32BE(0) : -1;
      if (number >= next && number < sent && frame.equals(frameOf(audio, number))) {
        roundTrips.push(performance.now() - startedAt - number * FRAME_MS);
        // Those in between are lost: none is taken out of its turn.
        next = number + 1;
        echoed += 1;
        echoedInAll += 1;
      } else changed += 1;
      if (next === frames) over.resolve();
    });
    socket.once("close", () => {
      brokeOff = true;
      over.resolve();
    });
    running.add(tick);
    const late = setTimeout(() => over.resolve(), ms + ECHO_MS);
    await over.promise;
    clearTimeout(late);
    running.delete(tick);
    const outcome = { sent: frames, echoed, changed, brokeOff };
    socket.close(1000, "bye");
    await closed;
    return outcome;
  };

  return {
    open(name) {
      const connected = Promise.withResolvers<WebSocket>();
      waiting.set(name, { connected });
      const late = setTimeout(() => {
        waiting.delete(name);
        connected.reject(new Error(`no agent came into ${name} within ${DIAL_MS} ms`));
      }, DIAL_MS);
      const joined = connected.promise.then(async (socket) => {
        clearTimeout(late);
        const [hello] = (await once(socket, "message")) as [Buffer];
        return { socket, agent: JSON.parse(hello.toString()) as Agent };
      });
      const agent = joined.then((it) => it.agent);
      // Told to whoever waits for it, and no end of the whole story where nobody does yet.
      agent.catch(() => {});
      return {
        url: `ws://127.0.0.1:${port}/${name}`,
        agent,
        talk: (ms) => joined.then(({ socket }) => talk(socket, ms)),
      };
    },
    live: () => running.size,
    echoed: () => echoedInAll,
    slowestPercentMs() {
      const sorted = roundTrips.toSorted((a, b) => a - b);
      return Math.round((sorted[Math.floor(sorted.length * 0.99)] ?? 0) * 10) / 10;
    },
    async close() {
      clearInterval(ticking);
      for (const socket of server.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The audio over and over, cut into frames; each with its number, so that no two are the same. */
function frameOf(audio: Buffer, number: number): Buffer {
  const frame = Buffer.alloc(HEAD_BYTES + FRAME_BYTES);
  frame.writeUInt32BE(number);
  const from = (number * FRAME_BYTES) % (audio.length - (audio.length % FRAME_BYTES));
  audio.copy(frame, HEAD_BYTES, from, from + FRAME_BYTES);
  return frame;
}
