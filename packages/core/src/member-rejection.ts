import { HoldoverError } from "./errors.ts";

/**
 * Why a worker gets no session:
 * - `proof`: its signature is not over this challenge, or not by its key (a hello that was recorded and sent again)
 * - `clock`: its clock and that of the host are too far apart
 * - `certificate`: it is not signed by a key that is trusted, or it is another worker's
 * - `expired`: its certificate has run out
 * - `revoked`: an operator took it back
 * - `unknown-instance`: no such instance runs
 * - `other-service`: it is for another service or release than the one that this instance is of
 * - `token`: its join token was never given out, is over, or was used by another process
 * - `table`: it was shown a routing table that is forged or old
 */
export const REJECTION_REASONS = [
  "proof",
  "clock",
  "certificate",
  "expired",
  "revoked",
  "unknown-instance",
  "other-service",
  "token",
  "table",
] as const;

export type RejectionReason = (typeof REJECTION_REASONS)[number];

/** A refusal, as it is told and audited. */
export interface Rejection {
  /** What the worker calls itself: nothing has proved that it is that. */
  readonly instance: string;
  readonly reason: RejectionReason;
  readonly problem: string;
}

export function memberRejected(instance: string, reason: RejectionReason, problem: string): HoldoverError {
  return new HoldoverError("MEMBER_REJECTED", { instance, reason, problem });
}

/**
 * What there is to audit of something that was thrown; null where it is no refusal.
 * @param instance whom a refused table was meant for: the error does not know
 */
export function rejectionOf(thrown: unknown, instance: string): Rejection | null {
  if (!(thrown instanceof HoldoverError)) return null;
  const { code, details } = thrown;
  if (code === "TABLE_REJECTED") return { instance, reason: "table", problem: String(details["problem"]) };
  if (code !== "MEMBER_REJECTED") return null;
  const reason = REJECTION_REASONS.find((one) => one === details["reason"]);
  return reason ? { instance: String(details["instance"]), reason, problem: String(details["problem"]) } : null;
}
