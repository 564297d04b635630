import { z } from "zod";
import { role } from "./views.ts";

/** Who calls, and how a browser becomes somebody. */

export const callerView = z
  .object({
    name: z.string().meta({ description: "The token's name; `operator` by the unix socket." }),
    role,
    expiresAtMs: z.number().nullable().meta({ description: "Epoch ms at which the token ends; null: never." }),
  })
  .meta({ id: "Caller" });

export const signInLinkRequest = z.strictObject({
  role: role.optional().meta({ description: "What the link lets do, at most the caller's own; left out: that." }),
});

export const signInLinkView = z
  .object({
    path: z.string().meta({ description: "To be put after the address of the API; works once." }),
    expiresAtMs: z.number().meta({ description: "Epoch time in ms." }),
  })
  .meta({ id: "SignInLink" });

export const signInRequest = z.strictObject({ code: z.string().max(200) });

export const signedInView = callerView
  .extend({ token: z.string().meta({ description: "Told this once." }) })
  .meta({ id: "SignedIn" });

export type CallerView = z.output<typeof callerView>;
export type SignInLinkView = z.output<typeof signInLinkView>;
export type SignedInView = z.output<typeof signedInView>;
