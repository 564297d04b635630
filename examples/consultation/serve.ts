// A video consultation in one process: the page, the line to each browser, the media and what the room keeps.
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { joinHoldover, type JoinedSession } from "@holdover/worker";
import { WebSocketServer } from "ws";
import { loadPage } from "./page-files.ts";
import { Room, type Model, type Terms } from "./room.ts";
import { attend, MESSAGE_BYTES } from "./signalling.ts";

export type { Consent, Kept, Model, Terms, Written } from "./room.ts";

const MOST_ROOMS = 200;
const ROOM_CHARS = 64;

export interface Release {
  readonly model: Model;
  readonly terms: Terms;
  /** A directory with files of the page that are other ones in this release. */
  readonly page?: URL;
}

/** Runs until it has drained. */
export async function serve(release: Release): Promise<void> {
  const page = loadPage(release.page);
  const rooms = new Map<string, Room>();

  const server = createServer((request, response) => {
    if (holdover.probe(request, response)) return;
    if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405, "Only to be read\n");
    const { pathname, room } = asked(request);
    if (pathname === "/" && room === null) return toNewRoom(response);
    if (room === null || room.length > ROOM_CHARS) return answer(response, 404, "No such page\n");
    page.serve(pathname, room, request, response);
  });
  const holdover = await joinHoldover({ formats: release.model.formats, server });

  const roomOf = (session: JoinedSession): Room | null => {
    const known = rooms.get(session.key);
    if (known?.session === session) return known;
    if (rooms.size >= MOST_ROOMS) return null;
    const forget = (): void => {
      if (rooms.get(session.key) === room) rooms.delete(session.key);
    };
    const room = new Room(session, release, forget);
    rooms.set(session.key, room);
    // It lives elsewhere from now on; whoever is still here goes on until his line is closed.
    session.signal.addEventListener("abort", forget);
    return room;
  };

  const sockets = new WebSocketServer({
    server,
    maxPayload: MESSAGE_BYTES,
    // Another site's page may not sit down in a room in the name of whoever looks at it.
    verifyClient: ({ origin, req }: { origin?: string; req: IncomingMessage }) =>
      origin === undefined || URL.parse(origin)?.host === req.headers.host,
  });
  sockets.on("connection", (socket, request) => {
    const { room: key } = asked(request);
    const session = key === null || key.length > ROOM_CHARS ? null : holdover.sessionOf(request, key);
    if (!session) return socket.close(1008, "no room");
    const room = roomOf(session);
    if (!room) return socket.close(1013, "too many rooms");
    attend(socket, room);
  });
  server.listen(Number(process.env["PORT"] ?? 3000), process.env["HOST"] ?? "127.0.0.1", () => {
    const { address, port } = server.address() as AddressInfo;
    console.log(`consultation on http://${address}:${port}/`);
  });
}

/** The room is in the query of the page and of its line, and in the path of whatever the page loads. */
function asked(request: IncomingMessage): { readonly pathname: string; readonly room: string | null } {
  const url = URL.parse(request.url ?? "/", "http://box");
  const inPath = /^\/rooms\/([^/]+)(\/.*)$/.exec(url?.pathname ?? "");
  if (!url || !inPath) return { pathname: url?.pathname ?? "", room: url?.searchParams.get("room") || null };
  try {
    return { pathname: inPath[2] ?? "", room: decodeURIComponent(inPath[1] ?? "") };
  } catch {
    return { pathname: "", room: null };
  }
}

function toNewRoom(response: ServerResponse): void {
  const room = randomBytes(4).toString("hex");
  response.writeHead(303, { location: `/?room=${room}`, "cache-control": "no-store" }).end();
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(text);
}
