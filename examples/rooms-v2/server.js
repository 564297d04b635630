// Chat rooms: everyone who opens ?room=lobby talks to everyone else in "lobby".
// New in this release: messages carry their time, and one sees who is typing.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const PORT = Number(process.env.PORT ?? 3000);
const HOST = process.env.HOST ?? "127.0.0.1";
const RELEASE = process.env.HOLDOVER_RELEASE ?? "dev";
const INSTANCE = process.env.HOLDOVER_INSTANCE ?? `${RELEASE}-${process.pid}`;

const HISTORY_MESSAGES = 50;
const NAME_CHARS = 64;
const TEXT_CHARS = 1000;
const MESSAGE_BYTES = 8 * 1024;
/** A member who reads slower than this much behind would fill our memory; he may connect again. */
const BACKLOG_BYTES = 1024 * 1024;
/** Shorter than the idle time-outs of common proxies and phone networks. */
const PING_MS = 20_000;
/** How long the history of a room waits for somebody to come back. */
const EMPTY_ROOM_MS = 60_000;
const CLOSE_MS = 3000;

const utf8 = new TextDecoder();
const page = readFileSync(new URL("page.html", import.meta.url));

/** name → { members: Set<WebSocket>, history: message[], emptyTimer } */
const rooms = new Map();

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/healthz") {
    response.setHeader("content-type", "application/json");
    return response.end(JSON.stringify({ ok: true, release: RELEASE }));
  }
  if (pathname === "/" && (request.method === "GET" || request.method === "HEAD")) {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.setHeader("cache-control", "no-cache");
    response.setHeader(
      "content-security-policy",
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:",
    );
    return response.end(page);
  }
  response.statusCode = 404;
  response.end("Not found\n");
});

const sockets = new WebSocketServer({ server, maxPayload: MESSAGE_BYTES });

sockets.on("connection", (socket, request) => {
  const query = new URL(request.url, "http://localhost").searchParams;
  const roomName = (query.get("room") ?? "lobby").slice(0, NAME_CHARS);
  const name = (query.get("name") || `guest-${Math.floor(Math.random() * 10_000)}`).slice(0, NAME_CHARS);
  const room = enter(roomName, socket);
  let sent = 0;

  socket.member = name;
  socket.alive = true;
  socket.on("pong", () => (socket.alive = true));
  // A message over the limit or a broken connection: "close" follows and does the rest.
  socket.on("error", () => {});
  socket.on("close", () => leave(roomName, room, socket));
  socket.on("message", (data, isBinary) => {
    const message = isBinary ? null : read(utf8.decode(data));
    if (message?.typing) return broadcast(room, { type: "typing", from: name }, socket);
    if (!message)
      return send(socket, { type: "error", problem: `send {"text": "…"} of 1 to ${TEXT_CHARS} characters` });
    sent += 1;
    const told = { type: "message", from: name, text: message.text, n: message.n ?? sent, at: Date.now() };
    room.history.push(told);
    if (room.history.length > HISTORY_MESSAGES) room.history.shift();
    broadcast(room, told);
  });

  send(socket, {
    type: "welcome",
    release: RELEASE,
    instance: INSTANCE,
    members: membersOf(room),
    history: room.history,
  });
  broadcast(room, { type: "members", members: membersOf(room) }, socket);
});

function enter(name, socket) {
  let room = rooms.get(name);
  if (!room) rooms.set(name, (room = { members: new Set(), history: [], emptyTimer: undefined }));
  clearTimeout(room.emptyTimer);
  room.members.add(socket);
  return room;
}

function leave(name, room, socket) {
  room.members.delete(socket);
  broadcast(room, { type: "members", members: membersOf(room) });
  if (room.members.size === 0) room.emptyTimer = setTimeout(() => rooms.delete(name), EMPTY_ROOM_MS).unref();
}

function membersOf(room) {
  return [...room.members].map((socket) => socket.member);
}

/** A message as the page sends it, `{"text": "hello", "n": 7}`, or bare text as a person types it into wscat. */
function read(line) {
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    message = { text: line };
  }
  if (message === null || typeof message !== "object") message = { text: line };
  if (message.typing === true) return { typing: true };
  if (typeof message.text !== "string" || message.text.trim() === "" || message.text.length > TEXT_CHARS) return null;
  return { text: message.text, n: Number.isSafeInteger(message.n) ? message.n : undefined };
}

function broadcast(room, message, except) {
  const text = JSON.stringify(message);
  for (const socket of room.members) if (socket !== except) sendText(socket, text);
}

function send(socket, message) {
  sendText(socket, JSON.stringify(message));
}

function sendText(socket, text) {
  if (socket.readyState !== socket.OPEN) return;
  if (socket.bufferedAmount > BACKLOG_BYTES) return socket.terminate();
  socket.send(text);
}

const pings = setInterval(() => {
  for (const socket of sockets.clients) {
    if (!socket.alive) {
      socket.terminate();
      continue;
    }
    socket.alive = false;
    socket.ping();
  }
}, PING_MS);

function stop() {
  clearInterval(pings);
  sockets.close();
  server.close();
  server.closeIdleConnections();
  for (const socket of sockets.clients) socket.close(1001, "server is stopping");
  setTimeout(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
  }, CLOSE_MS).unref();
}

process.once("SIGTERM", stop);
process.once("SIGINT", stop);

server.listen(PORT, HOST, () => {
  console.log(`rooms ${RELEASE} on http://${HOST}:${server.address().port}`);
});
