import { z } from "zod";

const epochMs = z.number().meta({ description: "Epoch time in ms." });

const reason = z
  .string()
  .regex(/^[^\p{Cc}]{1,200}$/u, "a reason is 1 to 200 characters in one line")
  .meta({ description: "Why, for the audit log." });

const signingKeyView = z
  .object({
    publicKey: z.string().meta({ description: "The raw Ed25519 public key in base64url." }),
    sinceMs: epochMs,
    untilMs: epochMs
      .nullable()
      .meta({ description: "Until then a key that was replaced still signs; null: the current one." }),
  })
  .meta({ id: "SigningKey" });

const memberView = z
  .object({
    instance: z.string(),
    service: z.string(),
    release: z.string(),
    state: z
      .enum(["valid", "expired", "revoked"])
      .meta({ description: "Of its certificate. One that has expired may still be renewed." }),
    publicKey: z.string(),
    joinedAtMs: epochMs,
    serial: z.int().meta({ description: "The number of its last certificate." }),
    untilMs: epochMs.meta({ description: "When its last certificate runs out." }),
    revokedAtMs: epochMs.nullable(),
  })
  .meta({ id: "Member" });

export const membershipView = z
  .object({
    epoch: z.int().meta({ description: "Grows with every change of the keys and with every revocation." }),
    keys: z.array(signingKeyView).meta({ description: "Newest first." }),
    members: z.array(memberView).meta({ description: "By instance; until a week after the last certificate ran out." }),
  })
  .meta({ id: "Membership" });

export const rotateRequest = z.strictObject({ reason: reason.optional() });

export const revokeRequest = z.strictObject({
  instance: z.string().min(1).max(160).meta({ description: "Its id, for example `rooms.v1-3`." }),
  reason,
});

export type MembershipView = z.output<typeof membershipView>;
export type MemberView = z.output<typeof memberView>;
export type RotateRequest = z.output<typeof rotateRequest>;
export type RevokeRequest = z.output<typeof revokeRequest>;
