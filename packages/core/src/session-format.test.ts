import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { HoldoverError } from "./errors.ts";
import { defineSessionFormat, type EncodedValue } from "./session-format.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const encoded = (version: number, value: unknown, format = "room"): EncodedValue => ({
  format,
  version,
  bytes: new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)),
});

// Version 1 has a text, version 2 its lines, version 3 the lines with a number each.
interface V1 {
  readonly text: string;
}
interface V2 {
  readonly lines: string[];
}
interface V3 {
  readonly lines: { readonly n: number; readonly line: string }[];
}
const v1to2 = ({ text }: V1): V2 => ({ lines: text.split("\n") });
const v2to3 = ({ lines }: V2): V3 => ({ lines: lines.map((line, n) => ({ n, line })) });
const v3to2 = ({ lines }: V3): V2 => ({ lines: lines.map(({ line }) => line) });
const v2to1 = ({ lines }: V2): V1 => ({ text: lines.join("\n") });
const schema3 = z.strictObject({ lines: z.array(z.strictObject({ n: z.number(), line: z.string() })) });
const room1 = defineSessionFormat({ name: "room", version: 1, schema: z.strictObject({ text: z.string() }) });
const room2 = defineSessionFormat({
  name: "room",
  version: 2,
  schema: z.strictObject({ lines: z.array(z.string()) }),
  upgrade: { 1: v1to2 },
  downgrade: { 2: v2to1 },
});
const room3 = defineSessionFormat({
  name: "room",
  version: 3,
  schema: schema3,
  upgrade: { 1: v1to2, 2: v2to3 },
  downgrade: { 3: v3to2, 2: v2to1 },
});

describe("A session format", () => {
  it("encodes a value as JSON in UTF-8 that its own release decodes to the same", () => {
    const value = { lines: ["grüße", "🎲", "\ud800", ""] };
    const { format, version, bytes } = room2.encode(value);
    expect([format, version, text(bytes)]).toEqual(["room", 2, JSON.stringify(value)]);
    expect(room2.decode({ format, version, bytes })).toEqual(value);
  });

  it("reads older versions through its upgrades, and says how far they and its downgrades lead", () => {
    expect(room3.decode(encoded(1, { text: "a\nb" }))).toEqual({
      lines: [
        { n: 0, line: "a" },
        { n: 1, line: "b" },
      ],
    });
    expect([room3.oldest, room3.lowest]).toEqual([1, 1]);
    const late = defineSessionFormat({ name: "room", version: 3, schema: schema3, upgrade: { 2: v2to3 } });
    expect([late.oldest, late.lowest]).toEqual([2, 3]);
    expect(() => late.decode(encoded(1, { text: "a" }))).toThrow(
      unknown("Data of session format room, version 1, cannot be read here: the upgrades to version 3 begin at 2"),
    );
  });

  it("reads what the newer release has downgraded for it, and not what that has left in its own version", () => {
    const newer = room3.encode({ lines: [{ n: 0, line: "a" }] });
    expect(room2.decode(room3.downgrade(newer, 2))).toEqual({ lines: ["a"] });
    expect(room1.decode(room3.downgrade(newer, 1))).toEqual({ text: "a" });
    expect(() => room1.decode(newer)).toThrow(unknown("version 1 is the newest that this release knows"));
    const stubborn = defineSessionFormat({ name: "room", version: 3, schema: schema3, downgrade: { 3: v3to2 } });
    expect(room2.decode(stubborn.downgrade(newer, 2))).toEqual({ lines: ["a"] });
    expect(() => stubborn.downgrade(newer, 1)).toThrow(
      unknown("the downgrades of version 3 lead down to 2, and version 1 is wanted"),
    );
    expect(() => room3.downgrade(encoded(9, {}), 1)).toThrow(unknown("lead down to 1"));
  });

  it("is for its own data only", () => {
    expect(() => room1.decode(encoded(1, { text: "" }, "cart"))).toThrow(unknown("this is format room"));
    for (const version of [0, -1, 1.5, Number.NaN]) {
      expect(() => room3.decode(encoded(version, { text: "" }))).toThrow(unknown("that is no version"));
    }
  });

  it("refuses a value that it could not read back, when it is written", () => {
    const when = defineSessionFormat({ name: "when", version: 1, schema: z.object({ at: z.date() }) });
    expect(() => when.encode({ at: new Date(0) })).toThrow(failed("does not fit the schema of version 1: at: "));
    const count = defineSessionFormat({ name: "count", version: 1, schema: z.number() });
    expect(() => count.encode(Number.NaN)).toThrow(failed("the value itself: "));
    const circle: Record<string, unknown> = {};
    circle["itself"] = circle;
    const any = defineSessionFormat({ name: "any", version: 1, schema: z.any() });
    for (const value of [circle, { big: 1n }, undefined, () => 1]) {
      expect(() => any.encode(value)).toThrow(failed("the value cannot be written as JSON"));
    }
  });

  it("takes damaged bytes for what they are, and quotes none of them", () => {
    const any = defineSessionFormat({ name: "any", version: 1, schema: z.any() });
    for (const bytes of [Uint8Array.of(0x22, 0xff, 0x22), new Uint8Array(), new TextEncoder().encode('"secret')]) {
      expect(() => any.decode({ format: "any", version: 1, bytes })).toThrow(
        expect.objectContaining({ message: expect.stringMatching(/failed: the stored bytes are no JSON in UTF-8$/) }),
      );
    }
  });

  it("gives what its schema makes of a value", () => {
    const schema = z.object({ at: z.coerce.date(), tries: z.number().default(0) });
    const when = defineSessionFormat({ name: "when", version: 1, schema });
    const value = { at: new Date(1000), tries: 2 };
    expect(when.decode(when.encode(value))).toEqual(value);
    expect(when.decode(encoded(1, { at: 1000 }, "when"))).toEqual({ at: new Date(1000), tries: 0 });
  });

  it("names the step that threw, with its words for the application and without them for a report", () => {
    const cause = new TypeError("no text in {secret}");
    const bad = defineSessionFormat({
      name: "room",
      version: 3,
      schema: schema3,
      upgrade: { 1: v1to2, 2: () => fail(cause) },
      downgrade: { 3: () => fail(cause) },
    });
    const problem = "the upgrade from 2 to 3 threw: no text in {secret}";
    const redacted = "the upgrade from 2 to 3 threw (TypeError)";
    expect(() => bad.decode(encoded(1, { text: "" }))).toThrow(
      expect.objectContaining({
        code: "FORMAT_FAILED",
        cause,
        details: { format: "room", version: 1, problem, redacted },
      }),
    );
    expect(() => bad.downgrade(bad.encode({ lines: [] }), 2)).toThrow(failed("the downgrade from 3 to 2 threw: no"));
  });

  it("names at most three places that do not fit, and in a report no key that may be data", () => {
    const schema = z.record(z.string(), z.strictObject({ count: z.number() }));
    const carts = defineSessionFormat({ name: "carts", version: 1, schema });
    const wrong = { "ann@example.org": { count: "secret" }, b: { count: null }, c: { count: [] }, d: { count: {} } };
    const thrown = caught(() => carts.decode(encoded(1, wrong, "carts")));
    expect(thrown.message).toMatch(/^Session format carts, version 1, failed: it does not fit/);
    expect(thrown.message).toContain("ann@example.org.count: ");
    expect(thrown.message).not.toContain("d.count");
    expect(thrown.details["redacted"]).toBe("it does not fit the schema of version 1 at *.count, b.count, c.count");
  });

  it("takes no promise for an answer, and does not end the process with one that is refused", async () => {
    const validate = async () => Promise.reject(new Error("later"));
    const refused = { "~standard": { version: 1 as const, vendor: "test", validate } };
    for (const schema of [refused, z.string().refine(async () => true)]) {
      const format = defineSessionFormat<unknown>({ name: "any", version: 1, schema });
      expect(() => format.encode("a")).toThrow(failed("the schema of version 1 answers with a promise"));
    }
    const upgrade = { 1: async () => Promise.reject(new Error("later")) };
    const slow = defineSessionFormat({ name: "any", version: 2, schema: z.any(), upgrade });
    expect(() => slow.decode(encoded(1, 1, "any"))).toThrow(failed("from 1 to 2 answers with a promise"));
    await new Promise(setImmediate);
  });

  it("tells of a schema that throws", () => {
    const schema = { "~standard": { version: 1 as const, vendor: "test", validate: () => fail(new Error("broken")) } };
    const format = defineSessionFormat({ name: "any", version: 1, schema });
    expect(() => format.decode(encoded(1, 1, "any"))).toThrow(failed("the schema of version 1 threw: broken"));
  });

  const step = (value: unknown) => value;
  it.each([
    ["no name", { name: "" }, "its name is not"],
    ["the version 0", { version: 0 }, "no whole number"],
    ["the version 1.5", { version: 1.5 }, "no whole number"],
    ["a schema that is none", { schema: {} as never }, "no Standard Schema"],
    ["no schema", { schema: undefined as never }, "no Standard Schema"],
    ["a gap in its upgrades", { upgrade: { 1: step, 3: step } }, "its upgrades have a gap: 1, 3"],
    ["an upgrade from what it is", { upgrade: { 4: step } }, "its upgrades have a gap"],
    ["an upgrade from 0", { upgrade: { 0: step, 1: step, 2: step, 3: step } }, "its upgrades have a gap"],
    ["a gap in its downgrades", { downgrade: { 4: step, 2: step } }, "its downgrades have a gap: 2, 4"],
    ["a downgrade to 0", { downgrade: { 4: step, 3: step, 2: step, 1: step } }, "its downgrades have a gap"],
  ])("cannot be defined with %s", (_, differs, problem) => {
    expect(() => defineSessionFormat({ name: "room", version: 4, schema: z.any(), ...differs })).toThrow(
      failed(problem),
    );
  });

  it("keeps a value through every upgrade and downgrade that undo each other, however long the chain is", () => {
    // Version n is a list in which every step up has put its number in front.
    const chain = (version: number) => {
      const numbers = Array.from({ length: version - 1 }, (_, index) => index + 1);
      return defineSessionFormat({
        name: "list",
        version,
        schema: z.array(z.number()),
        upgrade: Object.fromEntries(numbers.map((from) => [from, (list: number[]) => [from, ...list]])),
        downgrade: Object.fromEntries(numbers.map((from) => [from + 1, ([, ...list]: number[]) => list])),
      });
    };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.integer()),
        (a, b, list) => {
          const [older, newer] = [chain(Math.min(a, b)), chain(Math.max(a, b))];
          const upgraded = newer.decode(older.encode(list));
          const steps = Array.from({ length: newer.version - older.version }, (_, index) => newer.version - 1 - index);
          expect(upgraded).toEqual([...steps, ...list]);
          expect(older.decode(newer.downgrade(newer.encode(upgraded), older.version))).toEqual(list);
          expect(newer.decode(newer.downgrade(newer.encode(upgraded), older.version))).toEqual(upgraded);
        },
      ),
    );
  });

  it("gives a value away only as its redaction leaves it, checked like any other, and not at all without one", () => {
    const definition = { name: "room", version: 2, schema: z.strictObject({ lines: z.array(z.string().min(1)) }) };
    const upgrade = { 1: v1to2 };
    const hidden = defineSessionFormat({
      ...definition,
      upgrade,
      redact: ({ lines }) => ({ lines: lines.map(() => "*") }),
    });
    const kept = hidden.redact(encoded(1, { text: "my name\nis Ann" }));
    expect([kept?.version, text(kept?.bytes ?? new Uint8Array())]).toEqual([2, '{"lines":["*","*"]}']);
    expect(room2.redact(encoded(2, { lines: ["Ann"] }))).toBeUndefined();
    const broken = defineSessionFormat({ ...definition, redact: () => ({ lines: [""] }) });
    expect(() => broken.redact(encoded(2, { lines: ["Ann"] }))).toThrow(
      failed("it does not fit the schema of version 2"),
    );
    const thrower = defineSessionFormat({ ...definition, redact: ({ lines }) => fail(new Error(lines[0])) });
    const thrown = caught(() => thrower.redact(encoded(2, { lines: ["Ann"] })));
    expect(thrown.details["redacted"]).toBe("its redaction threw (Error)");
  });

  it("throws an error of the table for whatever bytes, format and version it is given, and never another", () => {
    const versions = fc.oneof(fc.integer({ min: -1, max: 5 }), fc.double());
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.json().map((json) => new TextEncoder().encode(json)),
      fc
        .constantFrom("[".repeat(200_000), '{"text":', '"\ud800', "\ufeff{}")
        .map((json) => new TextEncoder().encode(json)),
    );
    fc.assert(
      fc.property(bytes, fc.constantFrom("room", "cart"), versions, (raw, format, version) => {
        for (const run of [
          () => room2.decode({ format, version, bytes: raw }),
          () => room3.downgrade({ format, version, bytes: raw }, 1),
          () => room3.redact({ format, version, bytes: raw }),
        ]) {
          expect(codeOf(run)).toMatch(/^(none|FORMAT_UNKNOWN|FORMAT_FAILED)$/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function unknown(words: string): unknown {
  return expect.objectContaining({ code: "FORMAT_UNKNOWN", message: expect.stringContaining(words) });
}

function failed(words: string): unknown {
  return expect.objectContaining({ code: "FORMAT_FAILED", message: expect.stringContaining(words) });
}

function fail(error: Error): never {
  throw error;
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return "none";
  } catch (thrown) {
    return thrown instanceof HoldoverError ? thrown.code : String(thrown);
  }
}

function caught(run: () => unknown): HoldoverError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof HoldoverError) return thrown;
  }
  throw new Error("it threw no HoldoverError");
}
