import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { EndHow } from "./hold.ts";
import { softClose } from "./soft-close.ts";
import type { Waits } from "./waits.ts";
import { closeFrame, FrameTracker, type CloseCode } from "./websocket-frames.ts";

/** The bytes of an upgraded connection, both ways, until both ends have closed. */
export interface Tunnel {
  readonly end: (how: EndHow) => void;
  readonly destroy: () => void;
}

interface Ends {
  readonly client: Socket;
  readonly instance: Socket;
  /** What either has sent already, after the head of its message. */
  readonly fromClient: Buffer;
  readonly fromInstance: Buffer;
}

/**
 * Passes bytes both ways under back-pressure. An end's FIN is passed on after its data, and the other direction goes on.
 * There is no time-out while both are open: a quiet call is a live call. TCP keep-alive finds peers that are gone.
 *
 * @param over called once, when both sockets have closed
 */
export function openTunnel(ends: Ends, webSocket: boolean, waits: Waits, over: () => void): Tunnel {
  const { client, instance } = ends;
  let open = 2;
  for (const socket of [client, instance]) {
    socket.on("error", () => {});
    socket.once("close", () => {
      open -= 1;
      if (open === 0) over();
    });
  }
  const tunnel = webSocket ? webSocketTunnel(ends, waits) : plainTunnel(ends, waits);
  return {
    end: tunnel,
    destroy: () => {
      client.destroy();
      instance.destroy();
    },
  };
}

/**
 * A protocol that we know nothing of has no farewell. On a move, and of age, it gets `closeMs` to end by itself, then a FIN each way;
 * on a cut the FINs at once.
 */
function plainTunnel({ client, instance, fromClient, fromInstance }: Ends, waits: Waits): (how: EndHow) => void {
  pass(client, instance, fromClient, (chunk) => chunk);
  pass(instance, client, fromInstance, (chunk) => chunk);
  client.on("end", () => instance.end());
  instance.on("end", () => client.end());
  // A socket that closed without its FIN was reset: the other end has nobody to talk to.
  client.on("close", () => softClose(instance, waits.closeMs));
  instance.on("close", () => softClose(client, waits.closeMs));
  let timer: NodeJS.Timeout | undefined;
  client.on("close", () => clearTimeout(timer));
  const finish = () => {
    softClose(client, waits.closeMs);
    softClose(instance, waits.closeMs);
  };
  return (how) => {
    if (how === "lost") instance.destroy();
    if (how === "moved" || how === "aged") timer = setTimeout(finish, waits.closeMs).unref();
    else finish();
  };
}

interface Farewell {
  readonly code: CloseCode;
  /** For people, and behind the semicolon for clients: spread the next connection over so many ms. Up to 123 bytes. */
  readonly reason: string;
}

/**
 * Those of a lost instance all come at once, so they are spread. What is moved or too old is closed at the pace of the
 * disconnect cap already. @holdover/client reads `session moved` and `retry=`.
 */
const FAREWELL: Record<EndHow, Farewell> = {
  moved: { code: 1012, reason: "session moved, connect again; retry=0" },
  cut: { code: 1001, reason: "session cut" },
  lost: { code: 1012, reason: "instance lost, connect again; retry=500" },
  aged: { code: 1012, reason: "connection too old, connect again; retry=0" },
};

/**
 * A WebSocket, whose frames are followed so that it can be closed as its protocol wants it (RFC 6455, 7).
 *
 * On purpose: the client gets a Close frame at the next frame boundary, and nothing after it. What it sent before it
 * knew still reaches the instance, up to and with its own Close, which has the same code. A client that does not
 * answer with one is not waited for longer than `closeMs`: the instance then gets the Close from us. FINs follow.
 *
 * An instance that goes without a Close frame has crashed or gave up on this client; the client gets the Close frame in
 * its place, so that it knows at once that it should connect again. In the middle of a frame there is no room for one.
 */
function webSocketTunnel({ client, instance, fromClient, fromInstance }: Ends, waits: Waits): (how: EndHow) => void {
  const toClient = new FrameTracker();
  const toInstance = new FrameTracker();
  /** The farewell that waits for a boundary, or has been said. */
  let farewell: Farewell | null = null;
  let said = false;
  let timer: NodeJS.Timeout | undefined;

  const finish = () => {
    clearTimeout(timer);
    said = true;
    client.resume();
    instance.resume();
    softClose(client, waits.closeMs);
    softClose(instance, waits.closeMs);
  };
  const say = ({ code, reason }: Farewell) => {
    said = true;
    if (!toClient.closed && client.writable) client.write(closeFrame(code, reason, null));
    // A client that has ended its side answers nothing any more.
    if (toInstance.closed || client.readableEnded) finish();
    // Whatever the instance still sends is read and thrown away, so that it gets to its own end.
    else instance.resume();
  };
  const begin = (how: EndHow) => {
    if (farewell) return;
    const words = FAREWELL[how];
    farewell = words;
    timer = setTimeout(() => {
      if (toInstance.atBoundary && !toInstance.closed && instance.writable) {
        instance.write(closeFrame(words.code, words.reason, randomBytes(4)));
      }
      finish();
    }, waits.closeMs).unref();
    if (toClient.atBoundary) say(words);
    else if (how === "lost") finish();
  };
  /** The instance sends nothing more. */
  const instanceGone = () => {
    if (toClient.closed) softClose(client, waits.closeMs);
    else if (!farewell) begin("lost");
    else if (!said) finish();
  };

  pass(instance, client, fromInstance, (chunk) => {
    if (said) return null;
    const boundary = toClient.feed(chunk);
    if (!farewell || boundary === -1) return chunk;
    if (client.writable) client.write(chunk.subarray(0, boundary));
    say(farewell);
    return null;
  });
  const followed = (chunk: Buffer) => {
    toInstance.feed(chunk);
    return chunk;
  };
  pass(client, instance, fromClient, followed, () => {
    if (said && toInstance.closed) finish();
  });
  client.on("end", () => {
    if (said) finish();
    else softClose(instance, waits.closeMs);
  });
  client.on("close", () => {
    clearTimeout(timer);
    softClose(instance, waits.closeMs);
  });
  instance.on("end", instanceGone);
  instance.on("close", instanceGone);
  return (how) => {
    if (how === "lost") instance.destroy();
    begin(how);
  };
}

/** One direction. `keep` sees every chunk and tells what of it goes on, null for nothing; `passed` comes after that. */
function pass(
  from: Socket,
  to: Socket,
  first: Buffer,
  keep: (chunk: Buffer) => Buffer | null,
  passed: () => void = () => {},
): void {
  // The one listener of data: with a second one node copies the list of them for every chunk.
  const take = (chunk: Buffer) => {
    const kept = keep(chunk);
    if (kept !== null && to.writable && !to.write(kept)) from.pause();
    passed();
  };
  to.on("drain", () => from.resume());
  // Nobody takes it any more, so nothing may hold up reading on to the end.
  to.on("close", () => from.resume());
  if (first.length > 0) take(first);
  from.on("data", take);
}
