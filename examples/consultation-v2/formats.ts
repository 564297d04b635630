import type { Kept, Model, Written } from "@holdover-examples/consultation";
import { defineSessionFormat } from "@holdover/worker";
import { z } from "zod";

interface V1 extends Pick<Kept, "consent"> {
  readonly lines: readonly Omit<Written, "atMs">[];
}

type V2 = z.output<typeof v2>;
const v2 = z.object({
  lines: z.array(z.object({ id: z.string(), from: z.string(), text: z.string(), atMs: z.number().nullable() })),
  consent: z.object({ by: z.string(), atMs: z.number(), terms: z.string() }).nullable(),
});

/** Version 2 says when something was written. */
const consultation = defineSessionFormat({
  name: "consultation",
  version: 2,
  schema: v2,
  upgrade: {
    1: ({ lines, consent }: V1): V2 => ({
      lines: lines.map(({ id, from, text }) => ({ id, from, text, atMs: null })),
      consent,
    }),
  },
  downgrade: {
    2: ({ lines, consent }: V2): V1 => ({
      lines: lines.map(({ id, from, text }) => ({ id, from, text })),
      consent,
    }),
  },
  redact: ({ lines, consent }) => ({
    lines: lines.map(({ atMs }, index) => ({ id: `${index}`, from: "-", text: "-", atMs })),
    consent: consent && { ...consent, by: "-" },
  }),
});

/** What version 2 keeps of a room. */
export const model: Model = {
  formats: [consultation],
  read: async (state) => (await state.read(consultation)) ?? { lines: [], consent: null },
  value: ({ lines, consent }) => [consultation, { lines: [...lines], consent }],
};
