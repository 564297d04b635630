import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { Socket } from "node:net";

/**
 * The instance that all rows of the benchmark share: it sends every WebSocket message back and answers HTTP with two
 * letters. It does as little as the protocol lets it, so that what is measured is what stands in front of it.
 */

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CLOSE = 0x8;
const HEAD_FIELDS = {
  "content-type": "text/plain",
  "content-length": "3",
  "x-release": process.env["HOLDOVER_RELEASE"] ?? "",
};

const server = createServer((_, response) => {
  response.writeHead(200, HEAD_FIELDS);
  response.end("ok\n");
});
server.keepAliveTimeout = 600_000;
server.on("upgrade", (request, stream, head) => {
  const socket = stream as Socket;
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"] ?? ""}${GUID}`)
    .digest("base64");
  socket.setNoDelay(true);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  echo(socket, head);
});
process.once("SIGTERM", () => process.exit(0));
server.listen({ port: Number(process.env["PORT"]), host: process.env["HOST"] ?? "127.0.0.1", backlog: 4096 });

function echo(socket: Socket, first: Buffer): void {
  let kept = first;
  const take = (chunk: Buffer) => {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    for (let size = frameBytes(kept); size > 0 && size <= kept.length; size = frameBytes(kept)) {
      const frame = kept.subarray(0, size);
      kept = kept.subarray(size);
      socket.write(unmasked(frame));
      if (((frame[0] ?? 0) & 0x0f) === CLOSE) socket.end();
    }
  };
  socket.on("data", take);
  socket.on("error", () => {});
  if (first.length > 0) {
    kept = Buffer.alloc(0);
    take(first);
  }
}

/** Size of a client's frame from its first bytes; 0 while they are too few. No frame here is longer than 65,535 bytes. */
function frameBytes(bytes: Buffer): number {
  if (bytes.length < 4) return 0;
  const length = (bytes[1] ?? 0) & 0x7f;
  return length < 126 ? 6 + length : 8 + bytes.readUInt16BE(2);
}

function unmasked(frame: Buffer): Buffer {
  const headBytes = ((frame[1] ?? 0) & 0x7f) < 126 ? 2 : 4;
  const answer = Buffer.allocUnsafe(frame.length - 4);
  frame.copy(answer, 0, 0, headBytes);
  answer[1] = (answer[1] ?? 0) & 0x7f;
  const mask = frame.readUInt32LE(headBytes);
  frame.copy(answer, headBytes, headBytes + 4);
  // The load's mask is zero, which any proxy passes on like another: the instance is not what is measured.
  if (mask !== 0) for (let at = headBytes; at < answer.length; at++) answer[at] = xor(answer, frame, headBytes, at);
  return answer;
}

function xor(answer: Buffer, frame: Buffer, headBytes: number, at: number): number {
  return (answer[at] ?? 0) ^ (frame[headBytes + ((at - headBytes) % 4)] ?? 0);
}
