import type { Socket } from "node:net";

/**
 * Ends our side of a connection and waits, a bounded time, for the peer to end its own; only then is it destroyed.
 * Destroying at once would make the kernel answer what the peer still sends with a reset, and a reset takes away what
 * the peer has not read yet: the very answer or Close frame that told it why.
 *
 * The caller goes on reading (or calls `resume`), else the peer's end is never seen. A queue that is still being read
 * by a slow peer counts as progress, and the wait begins again.
 */
export function softClose(socket: Socket, waitMs: number): void {
  if (socket.destroyed) return;
  socket.end();
  let queued = socket.writableLength;
  const timer = setInterval(() => {
    if (socket.writableLength === 0 || socket.writableLength >= queued) {
      socket.destroy();
      return;
    }
    queued = socket.writableLength;
  }, waitMs);
  timer.unref();
  socket.once("close", () => clearInterval(timer));
}
