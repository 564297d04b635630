import * as fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import { codeOf } from "../test/sample-service.ts";
import { CHECKPOINT_QUOTA, type CheckpointEntry } from "./checkpoint.ts";
import type { JobOffer, JobPlace } from "./ports/dispatcher.ts";
import {
  callIdIn,
  encodeWorkerMessage,
  fromWireEntry,
  readFromHost,
  readFromWorker,
  toWireEntry,
  WORKER_CALLS,
  WORKER_LINE_BYTES,
  WORKER_SESSIONS,
  type FromHost,
  type FromWorker,
  type HostCall,
  type WireEntry,
  type WorkerCall,
} from "./worker-wire.ts";

/** JSON has one zero: what was minus zero comes out as the other. */
const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const count = fc.integer({ min: 1 });
const timeMs = fc.oneof(fc.nat(), fc.constant(1_795_363_200_000.5));
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const text = fc.string({ unit: "binary", maxLength: 12 });
const key = fc.oneof(fc.constantFrom("a", "räum 房间", "🎲".repeat(32), "k".repeat(256)), name);
const olderVersions = fc.dictionary(name, fc.array(fc.nat()), { maxKeys: 3, noNullPrototype: true });
const held = { key, fence: count };
const base64 = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("base64"));
const entry: fc.Arbitrary<WireEntry> = fc.record({ name, format: name, version: count, base64 });
const signed = fc.record({
  body: text,
  signatures: fc.array(fc.record({ key: fc.constant("k".repeat(43)), signature: fc.constant("s".repeat(86)) }), {
    minLength: 1,
    maxLength: 2,
  }),
});
const errorBody = fc.record({
  code: name,
  what: text,
  next: text,
  details: fc.dictionary(name, fc.oneof(text, fc.nat()), { maxKeys: 3, noNullPrototype: true }),
});
const anyValue = fc.oneof(fc.constant(null), text, fc.nat(), fc.array(fc.nat()));
const is = <Name extends string>(value: Name) => fc.constant(value);

type OfName<Call, Name> = Extract<Call, { readonly name: Name }>;
type OfType<Message, Type> = Extract<Message, { readonly type: Type }>;

/** Each call and message by its name: one that is added is missing here, and this file does not compile. */
const workerCalls: { [Name in WorkerCall["name"]]: fc.Arbitrary<OfName<WorkerCall, Name>> } = {
  ready: fc.record({ name: is("ready"), ready: fc.boolean() }),
  draining: fc.record({ name: is("draining"), draining: fc.boolean() }),
  release: fc.record({ name: is("release") }),
  open: fc.record({ name: is("open"), key, label: fc.option(name) }),
  attach: fc.record({ name: is("attach"), ...held }),
  leave: fc.record({ name: is("leave"), ...held }),
  end: fc.record({ name: is("end"), ...held, how: fc.constantFrom("hangup" as const, "cut" as const) }),
  "state-open": fc.record({ name: is("state-open"), ...held }),
  "state-write": fc.record({
    name: is("state-write"),
    ...held,
    entries: fc.array(entry, { minLength: 1, maxLength: 3 }),
  }),
  renew: fc.record({ name: is("renew"), certificate: signed }),
  forced: fc.record({ name: is("forced"), cut: fc.nat(), reason: text }),
  "table-refused": fc.record({ name: is("table-refused"), problem: text }),
};
const hostCalls: { [Name in HostCall["name"]]: fc.Arbitrary<OfName<HostCall, Name>> } = {
  "copy-state": fc.record({ name: fc.constant("copy-state"), ...held }),
  ping: fc.record({ name: is("ping") }),
  offer: fc.record({
    name: is("offer"),
    job: fc.record({
      id: count,
      session: fc.record({ key, label: fc.option(name) }),
      agent: name,
      tenant: fc.option(name),
      payload: json,
    }),
  }),
  confirm: fc.record({ name: is("confirm"), job: count, fence: count, openedAtMs: timeMs }),
  withdraw: fc.record({ name: is("withdraw"), job: count }),
  ending: fc.record({
    name: is("ending"),
    ...held,
    how: fc.constantFrom("moved" as const, "cut" as const, "lost" as const),
  }),
  "try-formats": fc.record({ name: is("try-formats"), trial: json }),
};
const reply = fc.record(
  { type: is("reply"), id: count, value: anyValue, error: errorBody },
  { requiredKeys: ["type", "id"] },
);
const fromWorker: { [Type in FromWorker["type"]]: fc.Arbitrary<OfType<FromWorker, Type>> } = {
  hello: fc.record({
    type: is("hello"),
    protocol: fc.nat(),
    instance: text,
    publicKey: text,
    atMs: timeMs,
    token: fc.option(name),
    certificate: fc.option(signed),
    proof: text,
    formats: fc.array(fc.record({ name, version: count, oldest: count, lowest: count }), { maxLength: 3 }),
    takesJobs: fc.boolean(),
    ready: fc.boolean(),
    draining: fc.boolean(),
    sessions: fc.array(fc.record({ ...held, endsWith: fc.boolean() }), { maxLength: 3 }),
  }),
  call: fc.record({
    type: is("call"),
    id: count,
    call: fc.oneof(...Object.values<fc.Arbitrary<WorkerCall>>(workerCalls)),
  }),
  reply,
};
const fromHost: { [Type in FromHost["type"]]: fc.Arbitrary<OfType<FromHost, Type>> } = {
  challenge: fc.record({ type: is("challenge"), protocol: fc.nat(), nonce: text, host: text }),
  welcome: fc.record({
    type: is("welcome"),
    service: name,
    release: name,
    certificate: fc.option(signed),
    lost: fc.array(fc.record(held), { maxLength: 3 }),
    olderVersions,
  }),
  table: fc.record({ type: is("table"), table: fc.option(signed) }),
  "older-versions": fc.record({
    type: is("older-versions"),
    versions: olderVersions,
  }),
  refused: fc.record({ type: is("refused"), final: fc.boolean(), error: errorBody }),
  call: fc.record({ type: is("call"), id: count, call: fc.oneof(...Object.values<fc.Arbitrary<HostCall>>(hostCalls)) }),
  reply,
};

describe("a message comes out of the worker link as it went in", () => {
  test.each(Object.entries<fc.Arbitrary<FromWorker>>(fromWorker))("from the worker: %s", (_, messages) => {
    fc.assert(
      fc.property(messages, (message) => {
        const line = encodeWorkerMessage(message);
        expect(line.indexOf("\n")).toBe(line.length - 1);
        expect(readFromWorker(line)).toEqual(message);
      }),
    );
  });

  test.each(Object.entries<fc.Arbitrary<FromHost>>(fromHost))("from the host: %s", (_, messages) => {
    fc.assert(
      fc.property(messages, (message) => {
        const line = encodeWorkerMessage(message);
        expect(line.indexOf("\n")).toBe(line.length - 1);
        expect(readFromHost(line)).toEqual(message);
      }),
    );
  });

  test.each(Object.entries<fc.Arbitrary<WorkerCall>>(workerCalls))("from the worker: the call %s", (_, calls) => {
    fc.assert(
      fc.property(calls, count, (call, id) => {
        const line = encodeWorkerMessage({ type: "call", id, call });
        expect(readFromWorker(line)).toEqual({ type: "call", id, call });
        expect(callIdIn(line)).toBe(id);
      }),
    );
  });

  test.each(Object.entries<fc.Arbitrary<HostCall>>(hostCalls))("from the host: the call %s", (_, calls) => {
    fc.assert(
      fc.property(calls, (call) => {
        expect(readFromHost(encodeWorkerMessage({ type: "call", id: 1, call }))).toEqual({ type: "call", id: 1, call });
      }),
    );
  });

  test("an entry of a checkpoint with every byte", () => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const stored: CheckpointEntry = { name: "room", format: "room", version: 3, bytes: all };
    const wire = toWireEntry(stored, (bytes) => Buffer.from(bytes).toString("base64"));
    expect(fromWireEntry(wire, (base) => new Uint8Array(Buffer.from(base, "base64")))).toEqual(stored);
  });

  test("and what is read is what the ports speak of", () => {
    expectTypeOf<OfName<HostCall, "offer">["job"]>().toExtend<JobOffer>();
    expectTypeOf<OfName<HostCall, "confirm">>().toExtend<JobPlace>();
  });
});

describe("what cannot be read is refused with LINK_MESSAGE_INVALID and nothing else", () => {
  const outcome = (read: (line: string) => unknown, line: string): unknown => {
    try {
      read(line);
      return "read";
    } catch (thrown) {
      return thrown instanceof Error && "code" in thrown ? thrown.code : thrown;
    }
  };

  test("JSON that is no message, and text that is no JSON", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json({ maxDepth: 4 }), fc.constantFrom("", "{", "hello")), (line) => {
        expect(outcome(readFromHost, line)).toBe("LINK_MESSAGE_INVALID");
        expect(outcome(readFromWorker, line)).toBe("LINK_MESSAGE_INVALID");
        expect(callIdIn(line)).toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  test("a message with any one of its parts replaced by garbage is refused, or was garbage there too", () => {
    const all = fc.oneof(...Object.values<fc.Arbitrary<FromWorker | FromHost>>({ ...fromWorker, ...fromHost }));
    fc.assert(
      fc.property(all, fc.nat(), json, (message, pick, garbage) => {
        const parts: [Record<string, unknown>, string][] = [];
        const copy = JSON.parse(JSON.stringify(message)) as Record<string, unknown>;
        const walk = (value: unknown): void => {
          if (typeof value !== "object" || value === null) return;
          for (const [field, part] of Object.entries(value)) {
            parts.push([value as Record<string, unknown>, field]);
            walk(part);
          }
        };
        walk(copy);
        const [holder, field] = parts[pick % parts.length] as [Record<string, unknown>, string];
        holder[field] = garbage;
        const line = JSON.stringify(copy);
        expect(["read", "LINK_MESSAGE_INVALID"]).toContain(outcome(readFromHost, line));
        expect(["read", "LINK_MESSAGE_INVALID"]).toContain(outcome(readFromWorker, line));
      }),
      { numRuns: 500 },
    );
  });

  const call = (body: object): string => JSON.stringify({ type: "call", id: 1, call: body });
  const someEntry = { name: "n", format: "f", version: 1, base64: "AAAA" };
  const write = (entries: unknown): string => call({ name: "state-write", key: "a", fence: 1, entries });

  test.each([
    ["a key of 257 characters", call({ name: "open", key: "k".repeat(257), label: null }), "call.key"],
    ["no key", call({ name: "open", key: "", label: null }), "call.key"],
    ["a fence of 0", call({ name: "attach", key: "a", fence: 0 }), "call.fence"],
    ["a fence that is not whole", call({ name: "leave", key: "a", fence: 1.5 }), "call.fence"],
    ["a fence that is not exact", call({ name: "leave", key: "a", fence: 2 ** 60 }), "call.fence"],
    ["a call number of 0", JSON.stringify({ type: "call", id: 0, call: { name: "release" } }), "id"],
    ["a call that nobody knows", call({ name: "explode" }), "call.name"],
    ["an end that nobody knows", call({ name: "end", key: "a", fence: 1, how: "lost" }), "call.how"],
    ["no entry", write([]), "call.entries"],
    ["65 entries", write(Array.from({ length: 65 }, () => someEntry)), "call.entries"],
    ["base64 with a letter too many", write([{ ...someEntry, base64: "AAAAA" }]), "base64"],
    ["base64url", write([{ ...someEntry, base64: "A_-=" }]), "base64"],
    ["an entry over 256 KiB", write([{ ...someEntry, base64: "A".repeat(349_532) }]), "base64"],
    ["a name of 129 characters", write([{ ...someEntry, name: "n".repeat(129) }]), "name"],
    ["version 0", write([{ ...someEntry, version: 0 }]), "version"],
    ["a reason of 501 characters", call({ name: "forced", cut: 1, reason: "r".repeat(501) }), "call.reason"],
    ["fewer than no session", call({ name: "forced", cut: -1, reason: "" }), "call.cut"],
    ["depth", `${"[".repeat(50_000)}${"]".repeat(50_000)}`, "expected object"],
  ])("%s", (_, line, word) => {
    expect(codeOf(() => readFromWorker(line))).toBe("LINK_MESSAGE_INVALID");
    expect(() => readFromWorker(line)).toThrow(word);
  });

  test("a hello that names more sessions than a worker may hold", () => {
    const hello = (sessions: number): string =>
      JSON.stringify({
        ...(fc.sample(fromWorker.hello, 1)[0] as object),
        sessions: Array.from({ length: sessions }, (_, index) => ({ key: `${index}`, fence: 1, endsWith: true })),
      });
    expect(readFromWorker(hello(WORKER_SESSIONS)).type).toBe("hello");
    expect(() => readFromWorker(hello(WORKER_SESSIONS + 1))).toThrow("sessions");
  });

  test("in few words, however much was wrong", () => {
    const entries = Array.from({ length: 60 }, () => ({}));
    expect(() => readFromWorker(write(entries))).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^[^]{100,700}$/) }),
    );
  });
});

describe("one line holds", () => {
  const sized = (count: number, bytes: number): WireEntry[] =>
    Array.from({ length: count }, (_, index) => ({
      name: `${index}`.padEnd(128, "n"),
      format: "f".repeat(128),
      version: 1,
      base64: "A".repeat(Math.ceil(bytes / 3) * 4),
    }));

  test("a whole checkpoint, as it is written and as it is read", () => {
    const { entries, sessionBytes } = CHECKPOINT_QUOTA;
    const all = sized(entries, sessionBytes / entries);
    const line = encodeWorkerMessage({
      type: "call",
      id: 1,
      call: { name: "state-write", key: "k".repeat(256), fence: 1, entries: all },
    });
    expect(line.length).toBeLessThan(WORKER_LINE_BYTES);
    expect(readFromWorker(line)).toMatchObject({ call: { entries: { length: entries } } });
  });

  test("a hello with every session that a worker may hold, under the longest keys", () => {
    const hello = fc.sample(fromWorker.hello, 1)[0] as OfType<FromWorker, "hello">;
    const sessions = Array.from({ length: WORKER_SESSIONS }, (_, index) => ({
      key: `${index}`.padEnd(256, "房"),
      fence: Number.MAX_SAFE_INTEGER,
      endsWith: false,
    }));
    const line = encodeWorkerMessage({ ...hello, sessions });
    expect(line.length).toBeLessThan(WORKER_LINE_BYTES);
    expect(WORKER_CALLS).toBe(1000);
  });
});
