import { HoldoverError } from "@holdover/core";
import type { FastifyReply, FastifyRequest } from "fastify";
import { pathOf } from "./access.ts";
import { ASSETS, type PageFiles } from "./page-files.ts";
import type { App } from "./route.ts";

/** Nothing from elsewhere, nothing that stands in the document itself, in no frame: a session key with markup stays text. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const NOT_BUILT = "The dashboard is not built: run `npm run build:dashboard`, then start Holdover again.\n";

/** The dashboard. It asks for a token itself, and sends it with each call. */
export function addPageRoutes(app: App, files: PageFiles): void {
  const answer = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const path = pathOf(request.raw);
    const file = files.get(path);
    void reply.headers({
      "content-security-policy": CONTENT_SECURITY_POLICY,
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
    });
    if (!file && path === "/" && files.size === 0) {
      return reply.code(404).type("text/plain; charset=utf-8").send(NOT_BUILT);
    }
    if (!file) throw new HoldoverError("ROUTE_UNKNOWN", { method: request.method, path });
    void reply.headers({
      "cache-control": path.startsWith(ASSETS) ? "public, max-age=31536000, immutable" : "no-cache",
      etag: file.etag,
      vary: "accept-encoding",
    });
    if (isKnown(request.headers["if-none-match"], file.etag)) return reply.code(304).send();
    const gzipped = takesGzip(request.headers["accept-encoding"]) ? file.gzipped : null;
    if (gzipped) void reply.header("content-encoding", "gzip");
    return reply.type(file.type).send(gzipped ?? file.body);
  };
  const options = { config: { role: null }, schema: { hide: true } };
  app.get("/", options, answer);
  app.get(`${ASSETS}*`, options, answer);
}

function isKnown(sent: string | undefined, etag: string): boolean {
  const tags = (sent ?? "").split(",").map((tag) => tag.trim());
  return tags.some((tag) => tag === etag || tag === "*");
}

function takesGzip(accepted: string | string[] | undefined): boolean {
  return String(accepted ?? "")
    .split(",")
    .map((coding) => coding.split(";").map((part) => part.trim().toLowerCase()))
    .some(([name, quality = "q=1"]) => name === "gzip" && Number(quality.replace(/^q=/, "")) > 0);
}
