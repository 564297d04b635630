import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startApi, type RunningApi } from "./api-fixture.ts";
import { PAGE_BYTES_MOST } from "./page-files.ts";

const PAGE = '<!doctype html><script type="module" src="./assets/index-1.js"></script>';
const SCRIPT = "console.log(1);\n".repeat(200);

let dir: string;
let running: RunningApi;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-page-"));
  await mkdir(join(dir, "dist/assets/inner"), { recursive: true });
  await writeFile(join(dir, "dist/index.html"), PAGE);
  await writeFile(join(dir, "dist/secret.txt"), "not of the page");
  await writeFile(join(dir, "dist/assets/index-1.js"), SCRIPT);
  await writeFile(join(dir, "dist/assets/index-1.css"), "p{}");
  await writeFile(join(dir, "dist/assets/inner/deep.js"), "1");
  running = await startApi({ page: join(dir, "dist") });
});
afterAll(async () => {
  await running.stop();
  await rm(dir, { recursive: true, force: true });
});

const open = (path: string, headers: Readonly<Record<string, string>> = {}, method = "GET") =>
  running.byTcp(path, { headers, method });

describe("the page", () => {
  test("is served without a token, by TCP and by the unix socket, and is asked for anew each time", async () => {
    for (const answer of [await open("/"), await running.bySocket("/"), await open("/?from=a-bookmark")]) {
      expect([answer.status, answer.text]).toEqual([200, PAGE]);
      expect(answer.headers).toMatchObject({ "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" });
    }
  });

  test("has its assets beside it, which a browser keeps for good", async () => {
    const script = await open("/assets/index-1.js");
    expect([script.status, script.text]).toEqual([200, SCRIPT]);
    expect(script.headers).toMatchObject({
      "content-type": "text/javascript; charset=utf-8",
      "cache-control": "public, max-age=31536000, immutable",
    });
    expect((await open("/assets/index-1.css")).headers["content-type"]).toBe("text/css; charset=utf-8");
  });

  test.each(["/", "/assets/index-1.js", "/assets/unknown.js"])(
    "lets %s run nothing but its own files",
    async (path) => {
      const { headers } = await open(path);
      expect(headers["content-security-policy"]).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
      });
    },
  );

  test("leaves what the API tells of Holdover in no cache", async () => {
    expect((await running.byTcp("/v1/status")).headers["cache-control"]).toBe("no-store");
    expect((await open("/assets/unknown.js")).headers["cache-control"]).toBe("no-store");
  });

  test.each([
    ["gzip, deflate, br", true],
    ["br;q=1.0, GZIP;q=0.5", true],
    ["gzip;q=0", false],
    ["gzip;q=0.000", false],
    ["gzip;q=x", false],
    ["x-gzip", false],
    ["", false],
  ])("is compressed for a browser that takes %j: %s", async (accepted, compressed) => {
    const { port } = new URL(running.url);
    const outgoing = request({ port, path: "/assets/index-1.js", headers: { "accept-encoding": accepted } }).end();
    const chunks: Buffer[] = [];
    const headers = await new Promise<object>((resolve) =>
      outgoing.on("response", (answer) => {
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () => resolve(answer.headers));
      }),
    );
    const body = Buffer.concat(chunks);
    expect(headers).toMatchObject({ vary: "accept-encoding", "content-length": String(body.length) });
    expect("content-encoding" in headers).toBe(compressed);
    expect((compressed ? gunzipSync(body) : body).toString()).toBe(SCRIPT);
  });

  test("is not sent again to a browser that has it", async () => {
    const { etag = "" } = (await open("/")).headers;
    for (const known of [etag, `"other", ${etag}`, "*"]) {
      const answer = await open("/", { "if-none-match": known });
      expect([answer.status, answer.text, answer.headers.etag]).toEqual([304, "", etag]);
    }
    expect((await open("/", { "if-none-match": '"other"' })).status).toBe(200);
  });

  test("answers HEAD as GET, without the body", async () => {
    const answer = await open("/assets/index-1.js", {}, "HEAD");
    expect([answer.status, answer.text]).toEqual([200, ""]);
    expect(answer.headers["content-length"]).toBe(String(SCRIPT.length));
  });

  test.each(["POST", "PUT", "DELETE"])("takes no %s", async (method) => {
    const answer = await open("/", {}, method);
    expect([answer.status, answer.code()]).toEqual([404, "ROUTE_UNKNOWN"]);
  });

  test.each([
    "/assets/",
    "/assets/unknown.js",
    "/assets/../secret.txt",
    "/assets/..%2fsecret.txt",
    "/assets/%2e%2e/%2e%2e/etc/passwd",
    "/assets/..\\secret.txt",
    "/assets/inner",
    "/assets/inner/deep.js",
    "/assets//index-1.js",
    `/assets/${"x".repeat(5000)}`,
  ])("has nothing at %s", async (path) => {
    const answer = await open(path);
    expect([answer.status, answer.code()]).toEqual([404, "ROUTE_UNKNOWN"]);
  });

  test.each(["/secret.txt", "/index.html", "//", "/../secret.txt", "/assets"])(
    "opens %s to nobody without a token",
    async (path) => {
      expect((await open(path)).status).toBe(401);
    },
  );

  test.each(["/", "/assets/index-1.js"])("is refused at %s under a name that is not ours", async (path) => {
    const answer = await open(path, { host: "evil.example" });
    expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
  });

  test("is not in the description of the API", async () => {
    const { paths } = (await open("/openapi.json")).json() as { paths: object };
    expect(Object.keys(paths).filter((path) => path === "/" || path.startsWith("/assets"))).toEqual([]);
  });
});

describe("a page that cannot be served", () => {
  const startWith = async (page: string): Promise<RunningApi> => {
    const other = await startApi({ page });
    onTestFinished(() => other.stop());
    return other;
  };

  test("says how it is built where it is not; the API works", async () => {
    const other = await startWith(join(dir, "nowhere"));
    const answer = await other.byTcp("/", { headers: {} });
    expect([answer.status, answer.headers["content-type"]]).toEqual([404, "text/plain; charset=utf-8"]);
    expect(answer.text).toContain("npm run build:dashboard");
    expect(other.logged).toEqual([]);
    expect((await other.byTcp("/v1/status")).status).toBe(200);
  });

  test("is left out where it is too large to be kept in memory, and that is logged", async () => {
    const large = join(dir, "large");
    await mkdir(join(large, "assets"), { recursive: true });
    await writeFile(join(large, "index.html"), PAGE);
    await writeFile(join(large, "assets/huge.js"), "");
    await truncate(join(large, "assets/huge.js"), PAGE_BYTES_MOST);
    const other = await startWith(large);
    expect((await other.byTcp("/", { headers: {} })).status).toBe(404);
    expect(other.logged).toEqual([expect.stringContaining("the dashboard cannot be served")]);
  });
});
