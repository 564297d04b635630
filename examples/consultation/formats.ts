import { defineSessionFormat } from "@holdover/worker";
import { z } from "zod";
import type { Model } from "./room.ts";

const consultation = defineSessionFormat({
  name: "consultation",
  version: 1,
  schema: z.object({
    lines: z.array(z.object({ id: z.string(), from: z.string(), text: z.string() })),
    consent: z.object({ by: z.string(), atMs: z.number(), terms: z.string() }).nullable(),
  }),
  redact: ({ lines, consent }) => ({
    lines: lines.map((_, index) => ({ id: `${index}`, from: "-", text: "-" })),
    consent: consent && { ...consent, by: "-" },
  }),
});

/** What version 1 keeps of a room. */
export const model: Model = {
  formats: [consultation],
  read: async (state) => {
    const { lines, consent } = (await state.read(consultation)) ?? { lines: [], consent: null };
    return { lines: lines.map(({ id, from, text }) => ({ id, from, text, atMs: null })), consent };
  },
  value: ({ lines, consent }) => [
    consultation,
    { lines: lines.map(({ id, from, text }) => ({ id, from, text })), consent },
  ],
};
