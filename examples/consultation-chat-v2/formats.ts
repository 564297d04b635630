import type { Line, Model, Payment } from "@holdover-examples/consultation-chat";
import { defineSessionFormat } from "@holdover/worker";
import { z } from "zod";

interface TranscriptV1 {
  readonly lines: readonly Omit<Line, "atMs">[];
}

type TranscriptV2 = z.output<typeof transcriptV2>;
const transcriptV2 = z.object({
  language: z.string(),
  lines: z.array(
    z.object({ id: z.string(), by: z.string(), text: z.string(), fence: z.int(), atMs: z.number().nullable() }),
  ),
});

/** Version 2 says when a line was said, and in which language the room speaks. */
const transcript = defineSessionFormat({
  name: "transcript",
  version: 2,
  schema: transcriptV2,
  upgrade: {
    1: ({ lines }: TranscriptV1): TranscriptV2 => ({
      language: "en",
      lines: lines.map(({ id, from, text, fence }) => ({ id, by: from, text, fence, atMs: null })),
    }),
  },
  downgrade: {
    2: ({ lines }: TranscriptV2): TranscriptV1 => ({
      lines: lines.map(({ id, by, text, fence }) => ({ id, from: by, text, fence })),
    }),
  },
  redact: ({ language, lines }) => ({
    language,
    lines: lines.map(({ fence, atMs }, index) => ({ id: `${index}`, by: "-", text: "-", fence, atMs })),
  }),
});

type PaymentV2 = z.output<typeof paymentV2>;
const paymentV2 = z.object({
  step: z.enum(["open", "authorised", "captured"]),
  amount: z.object({ minor: z.int().min(0), currency: z.string() }),
});

const payment = defineSessionFormat({
  name: "payment",
  version: 2,
  schema: paymentV2,
  upgrade: { 1: ({ step, cents }: Payment): PaymentV2 => ({ step, amount: { minor: cents, currency: "EUR" } }) },
  downgrade: { 2: ({ step, amount }: PaymentV2): Payment => ({ step, cents: amount.minor }) },
});

function lineOf({ id, by, text, fence, atMs }: TranscriptV2["lines"][number]): Line {
  return { id, from: by, text, fence, atMs };
}

/** What version 2 keeps of a room. */
export const model: Model = {
  formats: [transcript, payment],
  lines: {
    read: async (state) => (await state.read(transcript))?.lines.map(lineOf) ?? [],
    value: (lines) => [
      transcript,
      {
        language: "en",
        lines: lines.map(({ id, from, text, fence, atMs }) => ({ id, by: from, text, fence, atMs })),
      },
    ],
  },
  payment: {
    read: async (state) => {
      const { step, amount } = (await state.read(payment)) ?? { step: "open" as const, amount: { minor: 0 } };
      return { step, cents: amount.minor };
    },
    value: ({ step, cents }) => [payment, { step, amount: { minor: cents, currency: "EUR" } }],
  },
};
