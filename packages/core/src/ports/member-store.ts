import type { AuditDraft } from "../audit-chain.ts";

/** What lets one process become a member, once. The token itself is stored nowhere. */
export interface JoinToken {
  /** Lower-case hex of SHA-256 over the token. */
  readonly digest: string;
  readonly instance: string;
  readonly service: string;
  readonly release: string;
  /** From then on it is refused. */
  readonly expiresAtMs: number;
}

/** An instance that has proved itself. */
export interface Member {
  readonly instance: string;
  readonly service: string;
  readonly release: string;
  readonly publicKey: string;
  readonly joinedAtMs: number;
  /** Of its last certificate. */
  readonly serial: number;
  /** When its last certificate runs out. */
  readonly untilMs: number;
  /** Null: it is not revoked. */
  readonly revokedAtMs: number | null;
}

/** A key that signs tables and certificates. */
export interface SigningKey {
  readonly publicKey: string;
  readonly sinceMs: number;
  /** Until then a key that was replaced still signs; null: it is the current one. */
  readonly untilMs: number | null;
}

export interface Membership {
  /** 0 before the first key. */
  readonly epoch: number;
  /** The highest that a certificate has; 0 before the first. */
  readonly lastSerial: number;
  /** Newest first. */
  readonly keys: readonly SigningKey[];
  /** By instance. */
  readonly members: readonly Member[];
}

/** Who belongs to this Holdover, and which keys say so. Whatever it resolves with is stored. */
export interface MemberStore {
  load(): Promise<Membership>;
  /** MUST take the place of an earlier token of the same instance that nobody has used. */
  invite(token: JoinToken): Promise<void>;
  /** @returns what was given out under this digest, and the public key of whoever used it; null where nothing was */
  invitation(digest: string): Promise<{ readonly token: JoinToken; readonly usedBy: string | null } | null>;
  /**
   * Uses a token. MUST mark it as used, store the member and the entries as one: of two that come with the same token one
   * wins. MUST let the same key use it again, so that an answer that was lost costs nothing: the member then has the new
   * serial and the new end, and no entry is stored.
   * @returns `taken` where another key has used it or the instance is a member with another key; `none` where there is no
   * such token for this instance. Nothing has changed then
   */
  join(digest: string, member: Member, because: readonly AuditDraft[]): Promise<"joined" | "again" | "taken" | "none">;
  /**
   * Stores the next certificate of a member.
   * @returns false where there is no such member, or it is revoked
   */
  renew(instance: string, next: Pick<Member, "serial" | "untilMs">): Promise<boolean>;
  /**
   * MUST mark the member as revoked, remove the tokens of the instance, raise the epoch by one and store the entries as
   * one.
   * @returns false where there is neither a member nor a token, or it was revoked before; nothing has changed then
   */
  revoke(instance: string, atMs: number, because: readonly AuditDraft[]): Promise<boolean>;
  /**
   * MUST replace the keys, raise the epoch by one and store the entries as one.
   * @param aboveEpoch an epoch that others know already: it is raised above that one too
   */
  setKeys(keys: readonly SigningKey[], because: readonly AuditDraft[], aboveEpoch?: number): Promise<void>;
  /**
   * Removes tokens that expired, and members whose last certificate ran out, before a moment each.
   * @param keep instances that stay members
   */
  forget(before: { readonly tokensMs: number; readonly membersMs: number }, keep?: readonly string[]): Promise<void>;
}
