import { defineSessionFormat } from "@holdover/worker";
import { z } from "zod";
import type { Model } from "./serve.ts";

const transcript = defineSessionFormat({
  name: "transcript",
  version: 1,
  schema: z.object({
    lines: z.array(z.object({ id: z.string(), from: z.string(), text: z.string(), fence: z.int() })),
  }),
  redact: ({ lines }) => ({
    lines: lines.map(({ fence }, index) => ({ id: `${index}`, from: "-", text: "-", fence })),
  }),
});

const payment = defineSessionFormat({
  name: "payment",
  version: 1,
  schema: z.object({ step: z.enum(["open", "authorised", "captured"]), cents: z.int().min(0) }),
});

/** What version 1 keeps of a room. */
export const model: Model = {
  formats: [transcript, payment],
  lines: {
    read: async (state) =>
      (await state.read(transcript))?.lines.map((line) => Object.assign(line, { atMs: null })) ?? [],
    value: (lines) => [transcript, { lines: lines.map(({ id, from, text, fence }) => ({ id, from, text, fence })) }],
  },
  payment: {
    read: async (state) => (await state.read(payment)) ?? { step: "open", cents: 0 },
    value: ({ step, cents }) => [payment, { step, cents }],
  },
};
