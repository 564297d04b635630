import { connect, type Socket } from "node:net";

const HEAD_END = "\r\n\r\n";

/**
 * Opens a WebSocket for the session `key`. Bare sockets and frames made once: a client library would take more CPU
 * than what is measured, and there are two cores.
 *
 * @throws Error when it is refused
 */
export function openWebSocket(port: number, key: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    let head = "";
    const onData = (chunk: Buffer) => {
      head += chunk.toString("latin1");
      if (!head.includes(HEAD_END)) return;
      if (!head.startsWith("HTTP/1.1 101 ")) {
        failed(new Error(`a WebSocket was refused: ${head.slice(0, 200)}`));
        return;
      }
      socket.off("data", onData);
      socket.off("close", onClose);
      resolve(socket);
    };
    const failed = (cause: Error) => {
      socket.destroy();
      reject(cause);
    };
    const onClose = () => failed(new Error("a WebSocket was closed before it was open"));
    socket.on("error", failed);
    socket.on("close", onClose);
    socket.on("data", onData);
    socket.write(
      `GET /ws?room=${key} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: bench\r\n\r\n`,
    );
  });
}

/** A binary message, as a client sends it. Its mask is zero: no proxy looks at it. */
export function messageFrame(bytes: number): Buffer {
  return frame(0x82, bytes);
}

/** Bytes of the same message, as a server sends it. */
export function answerBytes(bytes: number): number {
  return frame(0x82, bytes).length - 4;
}

/** A Close frame with 1000 (normal closure), as a client sends it. */
export const CLOSE_FRAME = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);

function frame(first: number, bytes: number): Buffer {
  const head = bytes < 126 ? [first, 0x80 | bytes] : [first, 0xfe, bytes >> 8, bytes & 0xff];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(4), Buffer.alloc(bytes, "m")]);
}
