// Rooms over socket.io as its guide has them: long polling first, then the upgrade. Nothing of Holdover in it.
import { createServer } from "node:http";
import { Server } from "socket.io";

const release = process.env.HOLDOVER_RELEASE ?? "dev";
const instance = process.env.HOLDOVER_INSTANCE ?? String(process.pid);

const server = createServer((request, response) => {
  response.statusCode = request.url === "/healthz" ? 200 : 404;
  response.end();
});
const io = new Server(server);

io.on("connection", (socket) => {
  const { room } = socket.handshake.query;
  void socket.join(room);
  socket.emit("welcome", { release, instance });
  socket.on("say", (message) => io.to(room).emit("said", message));
});

process.once("SIGTERM", () => void io.close());
server.listen(Number(process.env.PORT), process.env.HOST ?? "127.0.0.1");
