import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { CheckpointEntry } from "./checkpoint.ts";
import { findingsOf, findingText, readTrialReport, tryFormats, type TrialSide } from "./format-gate.ts";
import { answerTrial, type FormatQuestion } from "./format-trial.ts";
import { defineSessionFormat, type SessionFormat } from "./session-format.ts";

const base64 = {
  encode: (bytes: Uint8Array) => Buffer.from(bytes).toString("base64"),
  decode: (text: string) => new Uint8Array(Buffer.from(text, "base64")),
};

/** A process of a release behind a link: all that it is asked and answers goes through JSON. */
function side(release: string, formats: SessionFormat<unknown>[], asked: string[] = []): TrialSide {
  return {
    release,
    formats: formats.map(({ name, version, oldest, lowest }) => ({ name, version, oldest, lowest })),
    ask: async (question: FormatQuestion) => {
      asked.push(`${release} ${question.try}`);
      return JSON.parse(JSON.stringify(answerTrial(formats, JSON.parse(JSON.stringify(question)), base64)));
    },
  };
}

const entry = (name: string, version: number, value: unknown): CheckpointEntry => ({
  name,
  format: name.split("#")[0] ?? "",
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
const forwardOnly = defineSessionFormat({ name: "cart", version: 2, schema: z.any(), upgrade: { 1: (cart) => cart } });
const fine = [entry("cart", 1, { items: ["book"] }), entry("cart", 1, { items: [] })];
const ok = (tried: number) => ({ tried, failed: 0, failures: [] });

const trial = (ofNew: TrialSide, others: TrialSide[], samples: CheckpointEntry[]) =>
  tryFormats(ofNew, new Map(others.map((other) => [other.release, other])), samples, base64);

describe("The format gate", () => {
  it("is passed where the new release reads all that is there, and each other one what that makes of it", async () => {
    const report = await trial(side("v2", [cart2]), [side("v1", [cart1]), side("v1b", [cart1])], fine);
    const back = [
      { release: "v1", ...ok(2) },
      { release: "v1b", ...ok(2) },
    ];
    expect(report).toEqual({ samples: 2, untried: [], formats: [{ format: "cart", forward: ok(2), back }] });
    expect(readTrialReport(JSON.parse(JSON.stringify(report)))).toEqual(report);
    expect([...findingsOf(report, "forward"), ...findingsOf(report, "back")]).toEqual([]);
  });

  it("tells what the new release cannot read: which version, how many of how many, why, and no data", async () => {
    const wrong = ["x", "y"].map((sku) => entry("cart", 1, { items: [sku] }));
    const samples = [...fine, ...wrong, entry("cart", 1, { secret: "4711" })];
    const report = await trial(side("v2", [cart2]), [side("v1", [cart1])], samples);
    expect(findingsOf(report, "forward").map(findingText)).toEqual([
      "cart of version 1 cannot be read (2 of 5 samples): it does not fit the schema of version 2 at items.*.sku",
      "cart of version 1 cannot be read (1 of 5 samples): the upgrade from 1 to 2 threw (TypeError)",
    ]);
    expect(report.formats[0]?.forward).toMatchObject({ tried: 5, failed: 3 });
    // What cannot be read is not tried back.
    expect(report.formats[0]?.back).toEqual([{ release: "v1", ...ok(2) }]);
    expect(JSON.stringify(report)).not.toContain("4711");
  });

  it("tells what a rollback would lose: known without a sample, and on each", async () => {
    const known = await trial(side("v2", [forwardOnly]), [side("v1", [cart1])], []);
    const reason = "the downgrades of version 2 lead down to 2, and version 1 is wanted";
    expect(findingsOf(known, "back").map(findingText)).toEqual([`cart of version 2 cannot be read by v1: ${reason}`]);
    expect(findingsOf(known, "forward")).toEqual([]);
    const onSamples = await trial(side("v2", [forwardOnly]), [side("v1", [cart1])], fine);
    expect(findingsOf(onSamples, "back").map(findingText)).toEqual([
      `cart of version 2 cannot be read by v1 (2 of 2 samples): ${reason}`,
    ]);
  });

  it("tells what a rollback would lose: a downgrade that makes what the old release cannot read", async () => {
    const wrong = defineSessionFormat({
      name: "cart",
      version: 2,
      schema: z.any(),
      upgrade: { 1: (cart) => cart },
      downgrade: { 2: () => ({ items: [1] }) },
    });
    const report = await trial(side("v2", [wrong]), [side("v1", [cart1])], fine);
    expect(findingsOf(report, "back").map(findingText)).toEqual([
      "cart of version 2 cannot be read by v1 (2 of 2 samples): it does not fit the schema of version 1 at items.*",
    ]);
  });

  it("lets a release that runs write for older code that is deployed anew, and refuses what nobody can write so", async () => {
    const samples = [entry("cart", 2, { items: [{ sku: "book" }] }), entry("cart", 1, { items: ["book"] })];
    const asked: string[] = [];
    const report = await trial(side("v0", [cart1], asked), [side("v2", [cart2], asked)], samples);
    expect(report.formats).toEqual([{ format: "cart", forward: ok(2), back: [{ release: "v2", ...ok(2) }] }]);
    expect(asked).toEqual(["v2 forward", "v0 forward", "v2 back", "v0 forward", "v2 back"]);
    const stuck = await trial(side("v0", [cart1]), [side("v2", [forwardOnly])], samples.slice(0, 1));
    expect(findingsOf(stuck, "forward").map(({ version, samples: of, reason }) => [version, of, reason])).toEqual([
      [2, 1, "version 1 is the newest that this release knows"],
      [2, 0, "the downgrades of version 2 lead down to 2, and version 1 is wanted"],
    ]);
  });

  it("tells that the new release dropped upgrades, or the whole format, that another one writes", async () => {
    const cart3 = defineSessionFormat({ name: "cart", version: 3, schema: z.any(), upgrade: { 2: (cart) => cart } });
    const dropped = await trial(side("v3", [cart3]), [side("v1", [cart1])], fine);
    const reason = "the upgrades to version 3 begin at 2";
    expect(findingsOf(dropped, "forward")).toEqual([
      { format: "cart", release: null, version: 1, samples: 2, tried: 2, reason },
    ]);
    const without = await trial(side("v3", []), [side("v1", [cart1])], fine);
    expect(findingsOf(without, "forward").map(findingText)).toEqual([
      "cart of version 1 cannot be read (2 of 2 samples): this release does not have the format",
    ]);
    // It leaves there what it does not have: nothing is lost by going back.
    expect(findingsOf(without, "back")).toEqual([]);
  });

  it("passes over what was written for older releases, what nobody declares, and says whom it could not ask", async () => {
    const gone = { ...entry("cart#2", 2, {}), bytes: new Uint8Array() };
    const samples = [entry("cart#1", 1, { items: ["x"] }), gone, entry("lost", 4, 1), ...fine];
    const others = new Map([
      ["v0", null],
      ["v1", side("v1", [cart1])],
    ]);
    const report = await tryFormats(side("v2", [cart2]), others, samples, base64);
    expect([report.samples, report.untried]).toEqual([2, ["v0"]]);
    expect(findingsOf(report, "forward")).toEqual([]);
    expect(await trial(side("v2", []), [side("v1", [])], samples)).toEqual({ samples: 0, untried: [], formats: [] });
  });

  it("knows nothing where a process does not answer, or answers nonsense", async () => {
    const down: TrialSide = { ...side("v1", [cart1]), ask: async () => Promise.reject(new Error("the link broke")) };
    await expect(trial(side("v2", [cart2]), [down], fine)).rejects.toThrow("the link broke");
    const mad: TrialSide = { ...side("v2", [cart2]), ask: async () => ({ read: true, written: [] }) };
    await expect(trial(mad, [side("v1", [cart1])], fine)).rejects.toMatchObject({ code: "LINK_MESSAGE_INVALID" });
    expect(() => answerTrial([cart1], { try: "forward", sample: { format: "cart" } }, base64)).toThrow(
      expect.objectContaining({ code: "LINK_MESSAGE_INVALID" }),
    );
  });

  it("tells of many different reasons the first twenty, and counts them all", async () => {
    const strict = defineSessionFormat({ name: "cart", version: 1, schema: z.record(z.string(), z.number()) });
    const samples = Array.from({ length: 30 }, (_, index) => entry("cart", 1, { [`field${index}`]: "x" }));
    const report = await trial(side("v2", [strict]), [], samples);
    expect(report.formats[0]?.forward.failures).toHaveLength(20);
    expect(report.formats[0]?.forward).toMatchObject({ tried: 30, failed: 30 });
  });
});
