import { expect, it } from "vitest";
import { z } from "zod";
import type { CheckpointEntry } from "./checkpoint.ts";
import type { TrialSide } from "./format-gate.ts";
import { answerTrial } from "./format-trial.ts";
import { readKeptSamples, readSavedSamples, redactSamples } from "./saved-samples.ts";
import { defineSessionFormat, type SessionFormat } from "./session-format.ts";

const base64 = {
  encode: (bytes: Uint8Array) => Buffer.from(bytes).toString("base64"),
  decode: (text: string) => new Uint8Array(Buffer.from(text, "base64")),
};
const side = (release: string, ...formats: SessionFormat<unknown>[]): TrialSide => ({
  release,
  formats,
  ask: async (question) => answerTrial(formats, question, base64),
});
const entry = (name: string, version: number, value: unknown): CheckpointEntry => ({
  name,
  format: name.split("#")[0] ?? "",
  version,
  bytes: new TextEncoder().encode(JSON.stringify(value)),
});

const schema = z.object({ by: z.string(), lines: z.number() });
const hidden = { name: "room", schema, redact: ({ lines }: z.infer<typeof schema>) => ({ by: "*", lines }) };
const room1 = defineSessionFormat({ ...hidden, version: 1 });
const room2 = defineSessionFormat({ ...hidden, version: 2, upgrade: { 1: (room) => room } });
const open = defineSessionFormat({ name: "open", version: 1, schema: z.unknown() });

it("Samples that are kept have gone through their redaction, in the version that they are in where its release runs", async () => {
  const samples = [entry("room", 1, { by: "Ann", lines: 3 }), entry("room", 2, { by: "Bob", lines: 4 })];
  const both = await redactSamples([side("v2", room2), side("v1", room1)], samples, base64);
  expect(both).toEqual({
    samples: [
      { format: "room", version: 1, value: { by: "*", lines: 3 } },
      { format: "room", version: 2, value: { by: "*", lines: 4 } },
    ],
    withheld: 0,
  });
  const newer = await redactSamples([side("v2", room2)], samples.slice(0, 1), base64);
  expect(newer.samples).toEqual([{ format: "room", version: 2, value: { by: "*", lines: 3 } }]);
  expect(readKeptSamples(JSON.parse(JSON.stringify(both)))).toEqual(both);
});

it("What has no redaction, cannot be read, or is only there for older releases, is not kept", async () => {
  const samples = [
    entry("open", 1, { by: "Ann" }),
    entry("room", 3, { by: "Ann", lines: 1 }),
    entry("room", 1, { by: "Ann", lines: "many" }),
    entry("room#1", 1, { by: "Ann", lines: 1 }),
  ];
  const kept = await redactSamples([side("v2", room2, open)], samples, base64);
  expect(kept).toEqual({ samples: [], withheld: 3 });
  const throws = defineSessionFormat({
    ...hidden,
    version: 1,
    redact: (room) => Object.keys(room.by.at(99) as never) as never,
  });
  expect(await redactSamples([side("v1", throws)], [entry("room", 1, { by: "Ann", lines: 1 })], base64)).toEqual({
    samples: [],
    withheld: 1,
  });
});

it("Beyond what one message carries the rest is withheld", async () => {
  const wide = defineSessionFormat({ name: "wide", version: 1, schema: z.string(), redact: (text) => text });
  const samples = Array.from({ length: 40 }, () => entry("wide", 1, "x".repeat(250_000)));
  const kept = await redactSamples([side("v1", wide)], samples, base64);
  expect([kept.samples.length, kept.withheld]).toEqual([33, 7]);
});

it("A file of samples is read as it was written, and what is none is told", () => {
  const samples = [{ format: "room", version: 1, value: { by: "*" } }];
  expect(readSavedSamples(JSON.stringify({ samples }))).toEqual(samples);
  for (const text of ["", "[]", '{"samples":[{"format":"room","version":0}]}', '{"samples":[{"format":""}]}']) {
    expect(() => readSavedSamples(text)).toThrow(expect.objectContaining({ code: "REQUEST_INVALID" }));
  }
});
