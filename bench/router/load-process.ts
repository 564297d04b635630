import { connect, type Socket } from "node:net";
import type { LoadCall, LoadResult } from "./load-call.ts";
import { answerBytes, CLOSE_FRAME, messageFrame, openWebSocket } from "./web-socket.ts";
import { newWindow } from "./window.ts";

/** The clients of the benchmark, in a process of their own: `fork`ed, one call a message, one result a message. */

/** Connections are made so many at once: more would only wait in the listener's queue. */
const OPENING_AT_ONCE = 50;
const ANSWER_END = "\r\n\r\nok\n";
/** Keys of one process are never used twice, and those of two processes differ. */
const PREFIX = `bench-${process.pid.toString(36)}-${Date.now().toString(36)}`;
let keys = 0;
const idle: Socket[] = [];

process.on("disconnect", () => process.exit(0));
process.on("message", (call: LoadCall) => {
  answer(call).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});

async function answer(call: LoadCall): Promise<LoadResult | null> {
  switch (call.kind) {
    case "messages":
      return messages(call);
    case "opens":
      return opens(call);
    case "requests":
      return requests(call);
    case "idle":
      idle.push(...(await openMany(call.port, call.connections)));
      return null;
    case "hang-up":
      await hangUp(idle.splice(0));
      return null;
  }
}

async function messages(call: Extract<LoadCall, { kind: "messages" }>): Promise<LoadResult> {
  const frame = messageFrame(call.bytes);
  const due = answerBytes(call.bytes);
  const window = newWindow();
  const sockets = await openMany(call.port, call.connections);
  let on = true;
  for (const socket of sockets) {
    let sentAt = 0;
    let got = 0;
    const send = () => {
      got = 0;
      sentAt = performance.now();
      socket.write(frame);
    };
    socket.on("data", (chunk: Buffer) => {
      got += chunk.length;
      if (got < due) return;
      window.over(sentAt);
      if (on) send();
    });
    send();
  }
  return window.run(call, async () => {
    on = false;
    await hangUp(sockets);
  });
}

async function opens(call: Extract<LoadCall, { kind: "opens" }>): Promise<LoadResult> {
  const window = newWindow();
  const over = new AbortController();
  let failure: unknown;
  const loop = async () => {
    while (!over.signal.aborted) {
      const startedAt = performance.now();
      await hangUp([await openWebSocket(call.port, nextKey())]);
      window.over(startedAt);
    }
  };
  const loops = Array.from({ length: call.atOnce }, () =>
    loop().catch((thrown: unknown) => {
      over.abort();
      failure ??= thrown;
    }),
  );
  const result = await window.run(call, async () => {
    over.abort();
    await Promise.all(loops);
  });
  if (failure) throw failure;
  return result;
}

async function requests(call: Extract<LoadCall, { kind: "requests" }>): Promise<LoadResult> {
  const window = newWindow();
  let on = true;
  let failure: unknown;
  const sockets = Array.from({ length: call.connections }, () => {
    const socket = connect({ host: "127.0.0.1", port: call.port, noDelay: true });
    const request = `GET /?room=${nextKey()} HTTP/1.1\r\nHost: 127.0.0.1:${call.port}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`;
    let sentAt = 0;
    let got = "";
    const send = () => {
      got = "";
      sentAt = performance.now();
      socket.write(request, "latin1");
    };
    socket.on("data", (chunk: Buffer) => {
      got += chunk.toString("latin1");
      if (!got.endsWith(ANSWER_END)) return;
      if (!got.startsWith("HTTP/1.1 200 ")) failure ??= new Error(`a request was answered with ${got.slice(0, 200)}`);
      window.over(sentAt);
      if (on) send();
    });
    socket.on("error", (thrown) => (failure ??= thrown));
    socket.on("close", () => {
      if (on) failure ??= new Error("a kept-alive connection was closed");
    });
    send();
    return socket;
  });
  const result = await window.run(call, () => {
    on = false;
    for (const socket of sockets) socket.destroy();
  });
  if (failure) throw failure;
  return result;
}

async function openMany(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  let left = count;
  const loop = async () => {
    while (left > 0) {
      left -= 1;
      sockets.push(await openWebSocket(port, nextKey()));
    }
  };
  await Promise.all(Array.from({ length: OPENING_AT_ONCE }, loop));
  return sockets;
}

/** The closing handshake of each; resolves when all have closed. */
async function hangUp(sockets: readonly Socket[]): Promise<void> {
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve) => {
          if (socket.destroyed) return resolve();
          socket.once("close", () => resolve());
          socket.resume();
          socket.write(CLOSE_FRAME);
        }),
    ),
  );
}

function nextKey(): string {
  keys += 1;
  return `${PREFIX}-${keys}`;
}
