import type { AuditDraft } from "../audit-chain.ts";

/** What a caller of the API may do, from least to most; each may do what those before it may. */
export const ROLES = ["viewer", "deployer", "admin"] as const;

/** `viewer` reads, `deployer` changes releases and instances, `admin` may do everything. */
export type Role = (typeof ROLES)[number];

/** Whether whoever has a role may do what needs another. */
export function covers(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** A token of the API, without the token itself: nobody who reads the store can call with what is in it. */
export interface ApiToken {
  /** In the audit log whoever calls with it is `api:<name>`. */
  readonly name: string;
  readonly role: Role;
  /** Lower-case hex of SHA-256 over the token. */
  readonly digest: string;
  readonly createdAtMs: number;
  /** From then on it is refused; null: never. */
  readonly expiresAtMs: number | null;
}

/** The tokens of the API, by name. */
export interface TokenStore {
  /** All tokens, expired ones too, by name. */
  list(): Promise<ApiToken[]>;
  /**
   * MUST store the token and the entries that tell of it as one, and none of them where the name is taken.
   * @returns false where the name is taken
   */
  create(token: ApiToken, because: readonly AuditDraft[]): Promise<boolean>;
  /**
   * MUST remove the token and store the entries as one, and no entry where there is no such token.
   * @returns false where there is none of this name
   */
  revoke(name: string, because: readonly AuditDraft[]): Promise<boolean>;
}
