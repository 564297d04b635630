import { describe, expect, it } from "vitest";
import { z } from "zod";
import { tryBack, tryForward } from "./compatibility.ts";
import { defineSessionFormat, type EncodedValue } from "./session-format.ts";

const sample = (format: string, version: number, value: unknown): EncodedValue => ({
  format,
  version,
  bytes: new TextEncoder().encode(JSON.stringify(value)),
});
const shown = (values: readonly EncodedValue[]) =>
  values.map(({ version, bytes }) => [version, JSON.parse(new TextDecoder().decode(bytes))]);

const cart1 = defineSessionFormat({ name: "cart", version: 1, schema: z.object({ items: z.array(z.string()) }) });
const cart2 = defineSessionFormat({
  name: "cart",
  version: 2,
  schema: z.object({ items: z.array(z.object({ sku: z.string().min(2) })) }),
  upgrade: { 1: ({ items }: { items: string[] }) => ({ items: items.map((sku) => ({ sku: sku.trim() })) }) },
  downgrade: { 2: ({ items }: { items: { sku: string }[] }) => ({ items: items.map(({ sku }) => sku) }) },
});

describe("A release that is tried on a value", () => {
  it("reads it and writes it in its own version and in the older ones that are wanted, each once", () => {
    const result = tryForward([cart2], sample("cart", 1, { items: ["book"] }), [1, 1, 2, 3]);
    expect(result.read && shown(result.written)).toEqual([
      [2, { items: [{ sku: "book" }] }],
      [1, { items: ["book"] }],
    ]);
    expect(result.read && result.unwritten).toEqual([]);
  });

  it("tells why it cannot read one, without the session's data", () => {
    const attempts = [
      tryForward([cart2], sample("cart", 1, { items: ["x"] }), []),
      tryForward([cart2], sample("cart", 1, { secret: "4711" }), []),
      tryForward([cart1], sample("cart", 2, {}), []),
      tryForward([cart1], sample("turn", 1, {}), []),
    ];
    expect(attempts).toEqual([
      { read: false, reason: "it does not fit the schema of version 2 at items.*.sku" },
      { read: false, reason: "the upgrade from 1 to 2 threw (TypeError)" },
      { read: false, reason: "version 1 is the newest that this release knows" },
      { read: false, reason: "this release does not have the format" },
    ]);
  });

  it("tells of each wanted version why it cannot be written, and writes the others", () => {
    const bad = defineSessionFormat({
      name: "cart",
      version: 3,
      schema: z.any(),
      downgrade: {
        3: (cart) => cart,
        2: () => {
          throw new Error("of Ann");
        },
      },
    });
    const result = tryForward([bad], sample("cart", 3, { items: [] }), [1, 2]);
    expect(result.read && shown(result.written).map(([version]) => version)).toEqual([3, 2]);
    expect(result.read && result.unwritten).toEqual([
      { version: 1, reason: "the downgrade from 2 to 1 threw (Error)" },
    ]);
  });

  it("takes what no store would keep for unwritten", () => {
    const wide = { items: "x".repeat(300 * 1024) };
    const grows = defineSessionFormat({ name: "cart", version: 2, schema: z.any(), downgrade: { 2: () => wide } });
    const problem = "it would have more than the 262144 bytes that are allowed";
    const result = tryForward([grows], sample("cart", 2, {}), [1]);
    expect(result.read && result.unwritten).toEqual([{ version: 1, reason: problem }]);
    const whole = defineSessionFormat({ name: "cart", version: 2, schema: z.any(), upgrade: { 1: () => wide } });
    expect(tryForward([whole], sample("cart", 1, {}), [])).toEqual({ read: false, reason: problem });
  });

  it("reads back what was written for it, and tells why not: nothing there, or nothing that fits", () => {
    const own = sample("cart", 2, { items: [{ sku: "book" }] });
    expect(tryBack([cart1], [own, sample("cart", 1, { items: ["book"] })])).toBeNull();
    expect(tryBack([cart2], [sample("cart", 1, { items: ["book"] })])).toBeNull();
    expect(tryBack([cart1], [own])).toBe("version 1 is the newest that this release knows");
    expect(tryBack([cart1], [own, sample("cart", 1, { items: [1] })])).toBe(
      "it does not fit the schema of version 1 at items.*",
    );
    // It loses nothing by a format that it does not have.
    expect(tryBack([], [own])).toBeNull();
  });
});
