import { createHmac } from "node:crypto";
import { once } from "node:events";
import { appendFile, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openControlStore, type ControlStore } from "@holdover/adapters/stores/sqlite";
import { createAuditSinks } from "@holdover/control";
import type { AuditDraft, AuditSink } from "@holdover/core";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openAuditSink } from "../src/audit-sink.ts";

const SECRET = "a secret of the test";

/** A clock that tells for how long it was asked to wait. */
class AskedClock extends ManualClock {
  readonly asked: number[] = [];

  override after(ms: number, run: () => void): () => void {
    this.asked.push(ms);
    return super.after(ms, run);
  }
}

let dir: string;
let store: ControlStore;
let clock: AskedClock;
let logged: string[];
let ends: (() => Promise<unknown>)[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-sinks-"));
  store = openControlStore(join(dir, "control.db"));
  clock = new AskedClock();
  logged = [];
  ends = [];
});
afterEach(async () => {
  for (const end of ends.toReversed()) await end();
  store.close();
  await rm(dir, { recursive: true });
});

function startSinks(...sinks: AuditSink[]) {
  const log = { warn: (_fields: unknown, message: string) => void logged.push(message) };
  const running = createAuditSinks({ audit: store.audit, cursors: store.auditCursors, sinks, clock, log });
  running.start();
  ends.push(() => running.stop());
  return running;
}

type Answer = (response: ServerResponse, request: IncomingMessage) => void;
const ok: Answer = (response) => response.writeHead(204).end();

/** A real HTTP server that checks signatures, and remembers what it was sent and what it has taken in. */
async function startHook(answer: Answer = ok) {
  const hook = { answer, taken: [] as number[], posts: 0, url: "" };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const signature = createHmac("sha256", SECRET).update(body).digest("hex");
      if (request.headers["holdover-signature-256"] !== `sha256=${signature}`) return response.writeHead(401).end();
      const { entries } = JSON.parse(body.toString()) as { entries: { seq: number }[] };
      hook.posts += 1;
      hook.answer(response, request);
      if (response.statusCode === 204) hook.taken.push(...entries.map(({ seq }) => seq));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  hook.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?key=hidden`;
  ends.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return hook;
}

const webhook = (url: string) => openAuditSink({ webhook: url, secretEnv: "SECRET" }, { SECRET });
const append = (count: number) => store.audit.append(Array.from({ length: count }, (_, n) => draft(`kind-${n}`)));
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

describe("A webhook", () => {
  test("is given every entry in order, in batches, signed; and each new one", async () => {
    await append(250);
    const hook = await startHook();
    const sinks = startSinks(webhook(hook.url));
    await expect.poll(() => sinks.states()[0]?.backlog).toBe(0);
    expect([hook.taken, hook.posts]).toEqual([upTo(250), 3]);
    await append(2);
    await expect.poll(() => sinks.states()[0]?.sentSeq).toBe(252);
    expect(hook.taken).toEqual(upTo(252));
    const { origin } = new URL(hook.url);
    expect(sinks.states()).toEqual([{ name: `webhook ${origin}/hook`, sentSeq: 252, backlog: 0, failure: null }]);
  });

  test.each<[string, Answer, RegExp]>([
    ["answers with an error", (response) => response.writeHead(500).end("no"), /answered with 500/],
    ["sends it elsewhere", (response) => response.writeHead(302, { location: "/other" }).end(), /answered with 302/],
    ["breaks off", (_response, request) => request.socket.destroy(), /closed|socket|ECONNRESET/i],
  ])("that %s gets the same entries again, later each time, and stops nobody", async (_what, answer, problem) => {
    const hook = await startHook(answer);
    const sinks = startSinks(webhook(hook.url));
    await append(3);
    await expect.poll(() => sinks.states()[0]?.failure?.problem).toMatch(problem);
    const sinceMs = clock.now();
    expect(sinks.states()[0]).toMatchObject({ sentSeq: 0, backlog: 3, failure: { sinceMs } });
    await append(2);
    expect(hook.posts).toBe(1);
    await clock.advance(500);
    await expect.poll(() => hook.posts).toBe(2);
    await expect.poll(() => clock.asked.at(-1)).toBe(1000);
    await clock.advance(999);
    expect(hook.posts).toBe(2);
    hook.answer = ok;
    await clock.advance(1);
    await expect.poll(() => sinks.states()[0]).toMatchObject({ sentSeq: 5, backlog: 0, failure: null });
    expect(hook.taken).toEqual(upTo(5));
    expect(logged).toEqual(["a sink of the audit log failed", "a sink of the audit log takes entries again"]);
  });

  test("that hangs is given up after ten seconds, its connection is let go, and it keeps up no other sink", async () => {
    await append(3);
    const closed = Promise.withResolvers<void>();
    const hook = await startHook((_response, request) => request.socket.once("close", () => closed.resolve()));
    const file = join(dir, "audit.jsonl");
    const sinks = startSinks(webhook(hook.url), openAuditSink({ file }, {}));
    await expect.poll(() => sinks.states()[1]?.backlog).toBe(0);
    await expect.poll(() => hook.posts).toBe(1);
    expect(sinks.states()[0]).toMatchObject({ backlog: 3, failure: null });
    await clock.advance(10_000);
    await closed.promise;
    await expect.poll(() => sinks.states()[0]?.failure?.problem).toBe("it did not take them within 10s");
    hook.answer = ok;
    await clock.advance(500);
    await expect.poll(() => hook.taken).toEqual([1, 2, 3]);
  });

  test("goes on after a restart where it was, and is not given what it has taken in", async () => {
    const hook = await startHook();
    await append(3);
    const first = startSinks(webhook(hook.url));
    await expect.poll(() => first.states()[0]?.sentSeq).toBe(3);
    await first.stop();
    await append(2);
    expect(hook.taken).toEqual([1, 2, 3]);
    const second = startSinks(webhook(hook.url));
    await expect.poll(() => second.states()[0]?.sentSeq).toBe(5);
    expect(hook.taken).toEqual(upTo(5));
  });

  test("that hangs does not hold up the end", async () => {
    await append(1);
    const hook = await startHook(() => {});
    const sinks = startSinks(webhook(hook.url));
    await expect.poll(() => hook.posts).toBe(1);
    await sinks.stop();
    expect(await store.auditCursors.at(sinks.states()[0]?.name ?? "")).toBe(0);
  });

  test("without its secret is refused by name", () => {
    const open = () => openAuditSink({ webhook: "https://x.example", secretEnv: "HOOK_SECRET" }, { HOOK_SECRET: "" });
    expect(open).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
    expect(open).toThrow(/HOOK_SECRET/);
  });
});

describe("A file", () => {
  const linesOf = async (file: string) => (await readFile(file, "utf8")).split("\n");

  test("gets one entry a line, for its owner alone, and a new one after it was moved away", async () => {
    const file = join(dir, "audit.jsonl");
    const sinks = startSinks(openAuditSink({ file }, {}));
    await append(2);
    await expect.poll(() => sinks.states()[0]?.sentSeq).toBe(2);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const entries = await store.audit.read(0, 10);
    expect(await linesOf(file)).toEqual([...entries.map((entry) => JSON.stringify(entry)), ""]);
    await rename(file, `${file}.1`);
    await append(1);
    await expect.poll(() => sinks.states()[0]?.sentSeq).toBe(3);
    expect(await linesOf(file)).toEqual([expect.stringContaining('"seq":3'), ""]);
  });

  test("with half a line from a crash gets whole lines after it", async () => {
    const file = join(dir, "audit.jsonl");
    await appendFile(file, '{"half');
    await append(1);
    const sinks = startSinks(openAuditSink({ file }, {}));
    await expect.poll(() => sinks.states()[0]?.sentSeq).toBe(1);
    expect(await linesOf(file)).toEqual(['{"half', expect.stringMatching(/^\{.*\}$/), ""]);
  });

  test("that cannot be written is told of, and written once it can", async () => {
    const file = join(dir, "missing", "audit.jsonl");
    const sinks = startSinks(openAuditSink({ file }, {}));
    await append(1);
    await expect.poll(() => sinks.states()[0]?.failure?.problem).toContain("ENOENT");
  });
});

function draft(kind: string): AuditDraft {
  return { atMs: 1, kind, actor: "planner", reason: "a test wanted it", service: "rooms" };
}
