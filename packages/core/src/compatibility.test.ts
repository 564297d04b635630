import { describe, expect, it } from "vitest";
import { z } from "zod";
import { compatibility } from "./compatibility.ts";
import { defineSessionFormat, type EncodedValue } from "./session-format.ts";

const sample = (format: string, version: number, value: unknown): EncodedValue => ({
  format,
  version,
  bytes: new TextEncoder().encode(JSON.stringify(value)),
});

const cart1 = defineSessionFormat({ name: "cart", version: 1, schema: z.object({ items: z.array(z.string()) }) });
const cart2 = defineSessionFormat({
  name: "cart",
  version: 2,
  schema: z.object({ items: z.array(z.object({ sku: z.string().min(2) })) }),
  upgrade: { 1: ({ items }: { items: string[] }) => ({ items: items.map((sku) => ({ sku: sku.trim() })) }) },
  downgrade: { 2: ({ items }: { items: { sku: string }[] }) => ({ items: items.map(({ sku }) => sku) }) },
});
const fine = [sample("cart", 1, { items: ["book"] }), sample("cart", 1, { items: [] })];
const ok = (tried: number) => ({ tried, failures: [] });

describe("Compatibility of two releases", () => {
  it("is whole where the new one reads all that is there and the old one all that the new one makes of it", () => {
    expect(compatibility([cart2], [cart1], fine)).toEqual([{ format: "cart", forward: ok(2), back: ok(2) }]);
  });

  it("tells which samples the new release cannot read and why, without their data, and does not try those back", () => {
    const samples = [...fine, sample("cart", 1, { items: ["x"] }), sample("cart", 1, { secret: "4711" })];
    const [report] = compatibility([cart2], [cart1], samples);
    expect(report?.forward).toEqual({
      tried: 4,
      failures: [
        { sample: 2, version: 1, reason: "it does not fit the schema of version 2 at items.*.sku" },
        { sample: 3, version: 1, reason: "the upgrade from 1 to 2 threw (TypeError)" },
      ],
    });
    expect(report?.back).toEqual(ok(2));
    expect(JSON.stringify(report)).not.toContain("4711");
  });

  it("tells what a rollback would lose: no downgrade at all, known without a sample", () => {
    const forwardOnly = defineSessionFormat({
      name: "cart",
      version: 2,
      schema: z.any(),
      upgrade: { 1: (cart) => cart },
    });
    const reason = "the downgrades of version 2 lead down to 2, and version 1 is wanted";
    expect(compatibility([forwardOnly], [cart1], [])).toEqual([
      { format: "cart", forward: ok(0), back: { tried: 0, failures: [{ sample: null, version: 2, reason }] } },
    ]);
    const [report] = compatibility([forwardOnly], [cart1], fine);
    expect(report?.forward).toEqual(ok(2));
    expect(report?.back.failures.map(({ sample }) => sample)).toEqual([null, 0, 1]);
  });

  it("tells what a rollback would lose: a downgrade that makes what the old release cannot read", () => {
    const wrong = defineSessionFormat({
      name: "cart",
      version: 2,
      schema: z.any(),
      upgrade: { 1: (cart) => cart },
      downgrade: { 2: () => ({ items: [1] }) },
    });
    const reason = "it does not fit the schema of version 1 at items.*";
    expect(compatibility([wrong], [cart1], fine.slice(0, 1))).toEqual([
      { format: "cart", forward: ok(1), back: { tried: 1, failures: [{ sample: 0, version: 2, reason }] } },
    ]);
  });

  it("holds for older code that is deployed anew: it reads by the downgrades of what it follows", () => {
    const samples = [sample("cart", 2, { items: [{ sku: "book" }] }), sample("cart", 1, { items: ["book"] })];
    expect(compatibility([cart1], [cart2], samples)).toEqual([{ format: "cart", forward: ok(2), back: ok(2) }]);
  });

  it("tells that the new release dropped upgrades that samples of an old version need", () => {
    const cart3 = defineSessionFormat({ name: "cart", version: 3, schema: z.any(), upgrade: { 2: (cart) => cart } });
    const [report] = compatibility([cart3], [cart1], fine.slice(0, 1));
    const reason = "the upgrades to version 3 begin at 2";
    expect(report?.forward).toEqual({
      tried: 1,
      failures: [
        { sample: null, version: 1, reason },
        { sample: 0, version: 1, reason },
      ],
    });
  });

  it("fails forward for a format that the new release lacks, and not back for one that the old release lacks", () => {
    const turn = defineSessionFormat({ name: "turn", version: 1, schema: z.number() });
    const reason = "the new release does not have this format";
    const samples = [sample("lost", 4, 1), sample("turn", 1, 7)];
    expect(compatibility([turn], [cart1], samples)).toEqual([
      { format: "cart", forward: { tried: 0, failures: [{ sample: null, version: 1, reason }] }, back: ok(0) },
      { format: "lost", forward: { tried: 1, failures: [{ sample: 0, version: 4, reason }] }, back: ok(0) },
      { format: "turn", forward: ok(1), back: ok(0) },
    ]);
    expect(compatibility([], [], [])).toEqual([]);
  });
});
