import { createServer } from "node:http";
import { defineSessionFormat, joinHoldover } from "@holdover/worker";
import { WebSocketServer } from "ws";
import { z } from "zod";

/**
 * The instance of the benchmark: every message of a session gets the next number of that session, which is kept as critical
 * state among 16 KiB of other things, with the name of this instance and how long it took to read the state back.
 */

const INSTANCE = process.env["HOLDOVER_INSTANCE"] ?? "";
const PADDING = "x".repeat(16 * 1024);

const counter = defineSessionFormat({
  name: "counter",
  version: 1,
  schema: z.object({ count: z.int(), padding: z.string() }),
});

const server = createServer((_, response) => response.end("ok\n"));
const holdover = await joinHoldover({ formats: [counter], server });
new WebSocketServer({ server }).on("connection", (socket, request) => {
  const session = holdover.sessionOf(request);
  if (!session) return socket.close(1008);
  const from = performance.now();
  let readMs = 0;
  let turn = session.state.read(counter).then((kept) => {
    readMs = performance.now() - from;
    return kept?.count ?? 0;
  });
  socket.on("error", () => {});
  socket.on("message", () => {
    turn = turn.then(async (before) => {
      const count = before + 1;
      await session.state.write(counter, { count, padding: PADDING });
      socket.send(JSON.stringify({ instance: INSTANCE, count, readMs }));
      return count;
    });
    turn.catch(() => socket.terminate());
  });
});
server.listen(Number(process.env["PORT"]), process.env["HOST"] ?? "127.0.0.1");
