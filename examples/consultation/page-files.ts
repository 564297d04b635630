// The files of the page. Each is asked for under the room's own path, so that a room gets all of its page from one release.
import { readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname } from "node:path";

const OWN = new URL("page/", import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self' blob:; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
  "permissions-policy": "camera=(self), microphone=(self)",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export interface PageFiles {
  /** Answers for one file; `/` is the page itself. */
  serve(path: string, room: string, request: IncomingMessage, response: ServerResponse): void;
}

/** @param over a directory whose files stand for those of the same name @throws where it cannot be read */
export function loadPage(over?: URL): PageFiles {
  const files = new Map([OWN, ...(over ? [over] : [])].flatMap(filesIn));
  return {
    serve(path, room, request, response) {
      const name = path === "/" ? "index.html" : path.slice(1);
      const file = files.get(name);
      if (file === undefined) return void response.writeHead(404, HEADERS).end();
      // Encoded for a path, nothing in it could end the attribute that it is put into.
      const body = name === "index.html" ? file.replaceAll("{room}", encodeURIComponent(room)) : file;
      response.writeHead(200, { ...HEADERS, "content-type": TYPES[extname(name)] ?? "text/plain" });
      response.end(request.method === "HEAD" ? undefined : body);
    },
  };
}

function filesIn(directory: URL): [string, string][] {
  return readdirSync(directory).map((name) => [name, readFileSync(new URL(name, directory), "utf8")]);
}
