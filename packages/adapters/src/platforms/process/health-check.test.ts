import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { checkHealth, isHealthy, isSilent, type Answer } from "./health-check.ts";
import { waitingOn, parseAddress } from "./listeners.ts";
import { systemClock } from "./sandbox.ts";

const open: Server[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) await new Promise((resolve) => server.close(resolve));
});

/** A server that answers every connection with these bytes; "close" ends it without any, "nothing" keeps it. */
async function serving(answer: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    if (answer === "close") socket.destroy();
    else if (answer === "nothing") socket.on("end", () => socket.end()).resume();
    else socket.resume().end(answer);
  });
  open.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}

const check = (port: number, path: string | undefined, timeoutMs = 5000): Promise<Answer> =>
  checkHealth({ port, path, timeoutMs }, systemClock, new AbortController().signal);

test.each([
  ["HTTP/1.1 200 OK\r\n\r\n", { kind: "status", status: 200 }, true],
  ["HTTP/1.1 302 Found\r\n\r\n", { kind: "status", status: 302 }, true],
  ["HTTP/1.1 404 Not Found\r\n\r\n", { kind: "status", status: 404 }, false],
  ["HTTP/1.1 503 Busy\r\n\r\n", { kind: "status", status: 503 }, false],
  ["\0\0\0 something else", { kind: "garbled" }, false],
  ["close", { kind: "reset" }, false],
] as const)("%j is a sign of life: %j, healthy %j", async (bytes, answer, healthy) => {
  const found = await check(await serving(bytes), "/health");
  expect(found).toEqual(answer);
  expect(isHealthy(found)).toBe(healthy);
  expect(isSilent(found)).toBe(false);
});

test("a connection is enough where there is no path", async () => {
  expect(isHealthy(await check(await serving("nothing"), undefined))).toBe(true);
});

test("no answer in time and no listener are silence", async () => {
  const port = await serving("nothing");
  expect(await check(port, "/health", 50)).toEqual({ kind: "timeout" });
  await new Promise((resolve) => open.pop()?.close(resolve));
  const refused = await check(port, undefined);
  expect(refused).toEqual({ kind: "refused" });
  expect(isSilent(refused)).toBe(true);
});

test("a check that is given up says nothing of the instance", async () => {
  const abort = new AbortController();
  const port = await serving("nothing");
  const found = checkHealth({ port, path: "/", timeoutMs: 60_000 }, systemClock, abort.signal);
  abort.abort();
  expect(await found).toMatchObject({ kind: "unknown" });
  expect(isSilent(await found)).toBe(false);
});

test.runIf(process.platform === "linux")("a server that takes its connections has none waiting", async () => {
  expect(await waitingOn(await serving("nothing"))).toBe(0);
  expect(await waitingOn(1)).toBeNull();
});

test.each([
  ["0100007F", "127.0.0.1"],
  ["00000000", "0.0.0.0"],
  ["00000000000000000000000000000000", "::"],
  ["00000000000000000000000001000000", "::1"],
  ["0000000000000000FFFF00000100007F", "0:0:0:0:0:ffff:7f00:1"],
])("the kernel's %s is the address %s", (hex, address) => {
  expect(parseAddress(hex)).toBe(address);
});
