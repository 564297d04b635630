import type { IncomingMessage, Server, ServerResponse } from "node:http";

/** Whether a process lives and whether it takes new sessions: two questions, since a drain must not get it killed. */
export interface Probes {
  readonly alive: () => boolean;
  readonly ready: () => boolean;
}

/**
 * Answers `GET /livez` and `GET /readyz` with 200 or 503.
 * @returns false for any other request, which is not touched
 */
export function answerProbe(request: IncomingMessage, response: ServerResponse, probes: Probes): boolean {
  const path = request.url?.split("?", 1)[0];
  if ((path !== "/livez" && path !== "/readyz") || (request.method !== "GET" && request.method !== "HEAD"))
    return false;
  const good = path === "/livez" ? probes.alive() : probes.ready();
  response.writeHead(good ? 200 : 503, { "content-type": "text/plain", "cache-control": "no-store" });
  response.end(request.method === "HEAD" ? undefined : good ? "ok\n" : "no\n");
  return true;
}

/** Takes no connection any more, and resolves when the last one has gone; those that nobody uses go at once. */
export async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
