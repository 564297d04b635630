import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditEntry } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import {
  createManualClock,
  createMemoryAuditLog,
  createMemoryOperations,
  draft,
  releaseView,
  startApi,
  statusView,
  TOKEN,
  type RunningApi,
} from "./api-fixture.ts";
import { createEventStreams, STREAM_LIMIT } from "./event-streams.ts";
import { createStatusFeed, STATUS_AT_LEAST_MS, STATUS_EVERY_MS } from "./status-feed.ts";
import type { StatusView } from "./views.ts";

const KEEP_ALIVE_MS = 15_000;

interface Event {
  readonly id: number;
  readonly event: string;
  readonly data: AuditEntry;
}

/** What has come in over a stream, read as EventSource does. */
class Reading {
  readonly answer: IncomingMessage;
  #text = "";
  #waiting: { done: () => boolean; resolve: () => void }[] = [];

  constructor(answer: IncomingMessage) {
    this.answer = answer;
    answer.setEncoding("utf8");
    answer.on("data", (chunk: string) => {
      this.#text += chunk;
      this.#waiting = this.#waiting.filter(({ done, resolve }) => !done() || resolve());
    });
    // A stream that is dropped ends with a reset, which is no surprise here.
    answer.on("error", () => {});
  }

  /** Only events that are complete: the end of one is its empty line. */
  get events(): Event[] {
    return this.#blocks()
      .filter((lines) => lines.some((line) => line.startsWith("id: ")))
      .map((lines) => {
        const field = (name: string) =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? "";
        return { id: Number(field("id")), event: field("event"), data: JSON.parse(field("data")) as AuditEntry };
      });
  }

  /** They have no id: a client that comes back resumes from the last entry that it has seen. */
  get statuses(): StatusView[] {
    return this.#blocks()
      .filter((lines) => lines[0] === "event: status" && lines.length === 2)
      .map((lines) => JSON.parse(lines[1]?.slice("data: ".length) ?? "") as StatusView);
  }

  get ids(): number[] {
    return this.events.map(({ id }) => id);
  }

  get comments(): number {
    return this.#blocks().filter(([line]) => line?.startsWith(":")).length;
  }

  async until(done: (reading: this) => boolean): Promise<void> {
    if (done(this)) return;
    await new Promise<void>((resolve) => this.#waiting.push({ done: () => done(this), resolve }));
  }

  #blocks(): string[][] {
    return this.#text
      .split("\n\n")
      .slice(0, -1)
      .map((block) => block.split("\n"));
  }
}

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
/** A stream that is dropped tells an error first, which once() would throw. */
const closeOf = (answer: IncomingMessage) => new Promise<void>((resolve) => answer.once("close", () => resolve()));
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("GET /v1/events", () => {
  let running: RunningApi;
  let streams: IncomingMessage[];
  beforeEach(async () => {
    running = await startApi();
    streams = [];
  });
  afterEach(async () => {
    for (const stream of streams) stream.destroy();
    await running.stop();
  });
  const follow = async (query = "", headers: Readonly<Record<string, string>> = {}) => {
    const answer = await running.open(`/v1/events${query}`, headers);
    streams.push(answer);
    return new Reading(answer);
  };
  const append = (from: number, to: number) => running.audit.append(upTo(from, to).map((n) => draft(n)));

  test("sends each audit entry as an event with its number as the id", async () => {
    const reading = await follow();
    expect(reading.answer.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    await append(1, 2);
    await reading.until(({ ids }) => ids.length === 2);
    expect(reading.events).toEqual(
      [1, 2].map((n) => ({
        id: n,
        event: "audit",
        data: { ...draft(n), seq: n, hash: running.audit.stored[n - 1]?.hash },
      })),
    );
  });

  test("begins with the next entry when nothing is asked for, and with what was missed after an id", async () => {
    await append(1, 5);
    const [fresh, after, last, all] = await Promise.all([
      follow(),
      follow("?after=2"),
      // What the client has really seen goes before the address that it once began with.
      follow("?after=0", { "last-event-id": "4" }),
      follow("?after=0"),
    ]);
    await append(6, 6);
    await Promise.all([fresh, after, last, all].map((reading) => reading.until(({ ids }) => ids.includes(6))));
    expect([fresh.ids, after.ids, last.ids, all.ids]).toEqual([[6], upTo(3, 6), [5, 6], upTo(1, 6)]);
  });

  test("has no gap and no double between what was missed and what is live, while entries are written all the time", async () => {
    await append(1, 950);
    const TOTAL = 1500;
    let written = 950;
    const writing = (async () => {
      while (written < TOTAL) {
        const count = Math.min(1 + (written % 7), TOTAL - written);
        await append(written + 1, written + count);
        written += count;
      }
    })();
    const readings = await Promise.all([0, 1, 99, 100, 500, 949, 950].map((seq) => follow(`?after=${seq}`)));
    await writing;
    await Promise.all(readings.map((reading) => reading.until(({ ids }) => ids.at(-1) === TOTAL)));
    expect(readings.map(({ ids }) => ids)).toEqual([0, 1, 99, 100, 500, 949, 950].map((seq) => upTo(seq + 1, TOTAL)));
  });

  test("sends an entry that was written while the log was being read, although that read did not see it", async () => {
    const read = running.audit.read.bind(running.audit);
    const reading = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    running.audit.read = async (afterSeq, limit) => {
      const found = await read(afterSeq, limit);
      running.audit.read = read;
      reading.resolve();
      await answered.promise;
      return found;
    };
    const stream = await follow();
    await reading.promise;
    await append(1, 1);
    answered.resolve();
    await stream.until(({ ids }) => ids.length === 1);
    expect(stream.ids).toEqual([1]);
  });

  test("goes on where a client was cut off, however often that happens", async () => {
    await append(1, 20);
    const seen: number[] = [];
    for (let cut = 1; cut <= 4; cut++) {
      const reading = await follow("?after=0", seen.length > 0 ? { "last-event-id": String(seen.at(-1)) } : {});
      await append(20 + cut, 20 + cut);
      await reading.until(({ ids }) => ids.length > 0);
      reading.answer.destroy();
      seen.push(...reading.ids);
    }
    const rest = await follow("", { "last-event-id": String(seen.at(-1)) });
    await append(25, 25);
    await rest.until(({ ids }) => ids.at(-1) === 25);
    expect([...seen, ...rest.ids]).toEqual(upTo(1, 25));
  });

  test.each([
    ["an id that is past the end of the log", { "last-event-id": "9" }, "after: 9 is past the last entry, 2"],
    ["an id that is no number", { "last-event-id": "x" }, "header.last-event-id"],
  ])("refuses %s instead of waiting for it", async (_what, headers, problem) => {
    await append(1, 2);
    const answer = await running.bySocket("/v1/events", { headers });
    expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
    expect(answer.text).toContain(problem);
  });

  test("says every 15 s that it lives", async () => {
    const reading = await follow();
    running.clock.advance(KEEP_ALIVE_MS - 1);
    running.clock.advance(1);
    await reading.until(({ comments }) => comments === 1);
    running.clock.advance(KEEP_ALIVE_MS);
    await reading.until(({ comments }) => comments === 2);
    expect(reading.events).toEqual([]);
  });

  test(`serves ${STREAM_LIMIT} streams and no more, and one more when one has gone`, async () => {
    const readings = await Promise.all(upTo(1, STREAM_LIMIT).map(() => follow()));
    const refused = await running.bySocket("/v1/events");
    expect([refused.status, refused.code()]).toEqual([503, "STREAM_LIMIT"]);
    expect(running.api.openStreams()).toBe(STREAM_LIMIT);
    readings[0]?.answer.destroy();
    while (running.audit.listeners.size === STREAM_LIMIT) await turn();
    const reading = await follow();
    await append(1, 1);
    await reading.until(({ ids }) => ids.length === 1);
  });

  test("leaves no listener behind when its client has gone", async () => {
    const reading = await follow();
    expect(running.audit.listeners.size).toBe(1);
    reading.answer.destroy();
    while (running.audit.listeners.size > 0) await turn();
  });

  test("is ended by close(), as an answer that is complete", async () => {
    const reading = await follow();
    await append(1, 3);
    await reading.until(({ ids }) => ids.length === 3);
    const ended = once(reading.answer, "end");
    await running.api.close();
    await ended;
    expect(reading.answer.complete).toBe(true);
    expect(running.audit.listeners.size).toBe(0);
  });

  test("is cut when the log cannot be read, so that the client comes back and is told", async () => {
    const reading = await follow();
    running.audit.read = async () => {
      throw new Error("disk full");
    };
    const closed = closeOf(reading.answer);
    await append(1, 1);
    await closed;
    expect(reading.answer.complete).toBe(false);
    expect(running.logged).toEqual(["an event stream ended: disk full disk full"]);
  });

  test("needs the token by TCP", async () => {
    expect((await running.byTcp("/v1/events", { headers: {} })).status).toBe(401);
    const answer = await fetch(`${running.url}/v1/events`, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(answer.status).toBe(200);
    await answer.body?.cancel();
  });

  test("does not open a stream for HEAD, which would never end", async () => {
    expect((await running.bySocket("/v1/events", { method: "HEAD" })).status).toBe(404);
  });
});

describe("GET /v1/events?status=true", () => {
  let running: RunningApi;
  let readings: Reading[];
  /** What control knows, and how often it was asked. */
  let now: { releases: string[]; asked: number; broken: boolean };
  beforeEach(async () => {
    now = { releases: ["v1"], asked: 0, broken: false };
    readings = [];
    const status = (): StatusView => {
      now.asked += 1;
      if (now.broken) throw new Error("a defect");
      return { ...statusView(now.releases.map((id) => releaseView(id))), nowMs: running.clock.now() };
    };
    running = await startApi({}, createMemoryOperations({ status }));
  });
  afterEach(async () => {
    for (const { answer } of readings) answer.destroy();
    await running.stop();
  });
  const follow = async (query = "?status=true") => {
    const reading = new Reading(await running.open(`/v1/events${query}`));
    readings.push(reading);
    return reading;
  };
  const releasesOf = ({ statuses }: Reading) =>
    statuses.map(({ services }) => services[0]?.releases.map(({ id }) => id));
  /** An entry that has come shows that nothing else is still on its way before it. */
  const settle = async (reading: Reading) => {
    const seq = running.audit.stored.length + 1;
    await running.audit.append([draft(seq)]);
    await reading.until(({ ids }) => ids.at(-1) === seq);
  };

  test("tells what is now at once, in the form of /v1/status", async () => {
    const reading = await follow();
    await reading.until(({ statuses }) => statuses.length === 1);
    expect(reading.statuses[0]).toEqual((await running.bySocket("/v1/status")).json());
  });

  test("tells a change, within a second and at most once in one", async () => {
    const reading = await follow();
    now.releases = ["v1", "v2"];
    running.clock.advance(STATUS_EVERY_MS - 1);
    now.releases = ["v2", "v3"];
    running.clock.advance(1);
    running.clock.advance(STATUS_EVERY_MS);
    await settle(reading);
    expect(releasesOf(reading)).toEqual([["v1"], ["v2", "v3"]]);
  });

  test("tells every 5 s that nothing has changed, with the time of then", async () => {
    const reading = await follow();
    for (let second = 0; second < 10; second += 1) running.clock.advance(STATUS_EVERY_MS);
    await settle(reading);
    expect(reading.statuses.map(({ nowMs }) => nowMs)).toEqual([0, STATUS_AT_LEAST_MS, 2 * STATUS_AT_LEAST_MS]);
  });

  test("is made once a second for all streams, and not at all where none asks for it", async () => {
    const plain = await follow("");
    running.clock.advance(STATUS_EVERY_MS);
    expect(now.asked).toBe(0);
    const many = await Promise.all(upTo(1, 20).map(() => follow()));
    expect(now.asked).toBe(1);
    now.releases = ["v2"];
    running.clock.advance(STATUS_EVERY_MS);
    expect(now.asked).toBe(2);
    await Promise.all(many.map((reading) => reading.until(({ statuses }) => statuses.length === 2)));
    for (const { answer } of many) answer.destroy();
    while (running.audit.listeners.size > 1) await turn();
    running.clock.advance(STATUS_EVERY_MS);
    expect([now.asked, plain.statuses]).toEqual([2, []]);
  });

  test("that cannot be made is left out, so that no old one passes for the present; entries go on", async () => {
    const reading = await follow();
    now.broken = true;
    for (let second = 0; second < 6; second += 1) running.clock.advance(STATUS_EVERY_MS);
    await settle(reading);
    expect(reading.statuses).toHaveLength(1);
    expect(running.logged[0]).toContain("the status could not be told");
    now.broken = false;
    running.clock.advance(STATUS_EVERY_MS);
    await reading.until(({ statuses }) => statuses.length === 2);
  });

  test("does not get in between the entries that a client missed", async () => {
    await running.audit.append(upTo(1, 300).map((n) => draft(n)));
    const reading = await follow("?status=true&after=0");
    await reading.until(({ ids }) => ids.length === 300);
    expect(reading.ids).toEqual(upTo(1, 300));
    expect(reading.statuses).toHaveLength(1);
  });

  test.each(["yes", "1", ""])("is not asked for with %j", async (status) => {
    const answer = await running.bySocket(`/v1/events?status=${status}`);
    expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
  });

  describe("by a token", () => {
    const followAs = async (secret: string) => {
      const answer = await new Promise<IncomingMessage>((resolve) => {
        const { port } = new URL(running.url);
        const headers = { authorization: `Bearer ${secret}` };
        request({ port, path: "/v1/events?status=true", headers, agent: false }).on("response", resolve).end();
      });
      const reading = new Reading(answer);
      readings.push(reading);
      await reading.until(({ statuses }) => statuses.length === 1);
      return reading;
    };
    const makeToken = async (lastsMs?: number) => {
      const body = { name: "eye", role: "viewer", ...(lastsMs !== undefined && { lastsMs }) };
      const answer = await running.bySocket("/v1/tokens", { method: "POST", body });
      return (answer.json() as { secret: string }).secret;
    };

    test("that is revoked ends, and tells nothing of what comes after", async () => {
      const reading = await followAs(await makeToken());
      const seen = running.audit.stored.length;
      const ended = once(reading.answer, "end");
      await running.bySocket("/v1/tokens/eye", { method: "DELETE" });
      await running.audit.append([draft(seen + 2)]);
      await ended;
      expect(reading.ids).toEqual([]);
    });

    test("that expires ends", async () => {
      const reading = await followAs(await makeToken(2500));
      const ended = once(reading.answer, "end");
      now.releases = ["v2"];
      for (let second = 0; second < 2; second += 1) running.clock.advance(STATUS_EVERY_MS);
      await reading.until(({ statuses }) => statuses.length === 2);
      now.releases = ["v3"];
      running.clock.advance(STATUS_EVERY_MS);
      await ended;
      expect(releasesOf(reading)).toEqual([["v1"], ["v2"]]);
    });
  });
});

test("a client that does not read has no status waiting for it, and is told the present one when it reads again", async () => {
  const clock = createManualClock();
  const log = { warn: () => {}, error: () => {} };
  let version = 0;
  const status = (): StatusView => ({ ...statusView([releaseView("x".repeat(200_000))]), version: String(version) });
  const streams = createEventStreams(createMemoryAuditLog(), createStatusFeed(status, clock, log), clock, log);
  let response: ServerResponse | undefined;
  const server = createServer((_incoming, outgoing) => {
    response = outgoing;
    streams.open(outgoing, { afterSeq: 0, status: true, isLetIn: () => true });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const [answer] = (await once(request({ port, agent: false }).end(), "response")) as [IncomingMessage];
  answer.pause();
  // Until nobody takes anything any more; the kernel's buffers hold some of them.
  for (let still = 0; still < 50; still = response?.writableNeedDrain ? still + 1 : 0) {
    version += 1;
    if (version > 20_000) throw new Error("the client takes whatever is sent, or nothing is");
    if (!response?.writableNeedDrain) clock.advance(STATUS_EVERY_MS);
    await turn();
  }
  const waiting = response?.writableLength;
  for (let more = 0; more < 10; more += 1) {
    version += 1;
    clock.advance(STATUS_EVERY_MS);
  }
  expect(response?.writableLength).toBe(waiting);
  const reading = new Reading(answer);
  answer.resume();
  await reading.until(({ statuses }) => statuses.at(-1)?.version === String(version));
  streams.close();
  server.close();
  await once(server, "close");
});

test("a client that does not read costs one page of entries, is dropped after two keep-alives, and resumes without a gap", async () => {
  const dir = await mkdtemp(join(tmpdir(), "holdover-events-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const socketPath = join(dir, "events.sock");
  const audit = createMemoryAuditLog();
  const clock = createManualClock();
  const warnings: string[] = [];
  const log = { warn: (_: object, message: string) => void warnings.push(message), error: () => {} };
  const streams = createEventStreams(
    audit,
    createStatusFeed(() => statusView([]), clock, log),
    clock,
    log,
  );
  const responses: ServerResponse[] = [];
  const server = createServer((incoming, response) => {
    responses.push(response);
    const afterSeq = Number(incoming.headers["last-event-id"] ?? 0);
    streams.open(response, { afterSeq, status: false, isLetIn: () => true });
  });
  server.listen({ path: socketPath });
  await once(server, "listening");
  const open = async (headers: Record<string, string>) => {
    const outgoing = request({ socketPath, headers, agent: false }).end();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    return answer;
  };
  const ENTRY_BYTES = 2000;
  const TOTAL = 4000;
  await audit.append(upTo(1, TOTAL).map((n) => draft(n, "x".repeat(ENTRY_BYTES))));

  const answer = await open({});
  answer.pause();
  // The kernel takes what its buffers hold; then nothing moves any more.
  const [response] = responses;
  for (let still = 0; still < 50; still = response?.writableNeedDrain ? still + 1 : 0) await turn();
  const reads = audit.reads.count;
  await audit.append(upTo(TOTAL + 1, TOTAL + 100).map((n) => draft(n)));
  for (let turns = 0; turns < 50; turns++) await turn();
  expect(audit.reads).toEqual({ count: reads, highestLimit: 100 });
  expect(reads).toBeLessThan(TOTAL / 100);
  expect(response?.writableLength).toBeLessThan(100 * (ENTRY_BYTES + 1000));

  clock.advance(KEEP_ALIVE_MS);
  expect(response?.destroyed).toBe(false);
  clock.advance(KEEP_ALIVE_MS);
  expect(response?.destroyed).toBe(true);
  expect(warnings).toEqual(["an event stream was dropped: its client does not read"]);

  const closed = closeOf(answer);
  const cut = new Reading(answer);
  answer.resume();
  await closed;
  const seen = cut.ids;
  expect(seen.length).toBeGreaterThan(0);
  const resumed = new Reading(await open({ "last-event-id": String(seen.at(-1)) }));
  await resumed.until(({ ids }) => ids.at(-1) === TOTAL + 100);
  expect([...seen, ...resumed.ids]).toEqual(upTo(1, TOTAL + 100));

  streams.close();
  server.close();
  await once(server, "close");
});
