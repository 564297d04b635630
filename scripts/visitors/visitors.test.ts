import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { WebSocketServer } from "ws";
import { createVisitors, MOST_ROOMS, type Visitors } from "./visitors.ts";

const endings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

/** A server that says this to everybody who connects, and nothing else. */
async function serve(first: string): Promise<{ url: string; sockets: WebSocketServer; heard: string[] }> {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  const heard: string[] = [];
  sockets.on("connection", (socket) => {
    socket.send(first);
    socket.on("message", (data: Buffer) => heard.push(data.toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endings.push(() => new Promise((resolve) => server.close(resolve)));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets, heard };
}

function visitorsTo(url: string): Visitors {
  const visitors = createVisitors(url, eager);
  endings.push(async () => visitors.leave());
  visitors.come();
  return visitors;
}

// Drawn always 0 the next room opens at once, with one visitor who never reloads the page.
const eager = (): number => 0;

test("no more rooms are open than 25, however eager the visitors, and where nobody answers they wait", async () => {
  const { url, sockets } = await serve("");
  await endings.pop()?.();
  sockets.close();
  const visitors = visitorsTo(url);
  await vi.waitFor(() => expect(visitors.rooms()).toBe(MOST_ROOMS));
  for (let turns = 0; turns < 100; turns++) await turn();
  expect({ rooms: visitors.rooms(), connected: visitors.connected() }).toEqual({ rooms: MOST_ROOMS, connected: 0 });
  // That they leave no timer and no socket behind is looked at after every test file.
  visitors.leave();
  expect({ rooms: visitors.rooms(), coming: visitors.coming }).toEqual({ rooms: 0, coming: false });
});

test("visitors hang up with a good-bye when they are sent home", async () => {
  const { url, sockets, heard } = await serve(JSON.stringify({ type: "welcome", release: "v7" }));
  const codes: number[] = [];
  const rooms: string[] = [];
  sockets.on("connection", (socket, request) => {
    rooms.push(request.url ?? "");
    socket.on("close", (code) => codes.push(code));
  });
  const visitors = visitorsTo(url);
  await vi.waitFor(() => expect(visitors.connected()).toBe(MOST_ROOMS));
  await vi.waitFor(() => expect(heard).not.toEqual([]));
  expect(JSON.parse(heard[0] ?? "")).toEqual({ text: "I am simulated, and this room is on v7." });
  visitors.leave();
  await vi.waitFor(() => expect(codes).toEqual(Array.from(rooms, () => 1000)));
  expect(rooms[0]).toBe("/?name=visitor-1&room=sample-1");
});

test("a service that is not the sample one hears nothing from them", async () => {
  const { url, sockets, heard } = await serve("hello");
  const visitors = createVisitors(url, eager);
  visitors.come();
  // By then the first have had their turn to talk.
  await vi.waitFor(() => expect(visitors.connected()).toBe(MOST_ROOMS));
  expect(heard).toEqual([]);
  visitors.leave();
  await vi.waitFor(() => expect(sockets.clients.size).toBe(0));
});
