import { createHash, randomBytes } from "node:crypto";
import type { Clock, Role } from "@holdover/core";

/** How long a code lets somebody in, in ms. */
export const CODE_LASTS_MS = 600_000;
/** Codes that are valid at once; with one more the oldest goes. */
export const CODES_MOST = 20;

/** What whoever brings a code is let in as. */
export interface SignIn {
  readonly role: Role;
  /** Who made the code, for the audit log. */
  readonly actor: string;
  /** When the maker's own token ends, epoch ms: what comes of it ends no later. null: never. */
  readonly untilMs: number | null;
}

/** Codes that let a browser in, once each. They are kept in memory alone: a restart of control forgets them. */
export interface SignInCodes {
  /** @returns the code, 256 random bits in base64url: kept is its SHA-256, so it cannot be had again */
  make(signIn: SignIn): { readonly code: string; readonly expiresAtMs: number };
  /** What a code stands for, the first time that it is brought in time; otherwise null. */
  take(code: string): SignIn | null;
}

export function createSignInCodes(clock: Clock): SignInCodes {
  /** By digest, in the order in which they were made. */
  const codes = new Map<string, { readonly signIn: SignIn; readonly expiresAtMs: number }>();
  return {
    make(signIn) {
      const code = randomBytes(32).toString("base64url");
      const expiresAtMs = clock.now() + CODE_LASTS_MS;
      codes.set(digestOf(code), { signIn, expiresAtMs });
      for (const oldest of codes.keys()) {
        if (codes.size <= CODES_MOST) break;
        codes.delete(oldest);
      }
      return { code, expiresAtMs };
    },
    take(code) {
      const digest = digestOf(code);
      const found = codes.get(digest);
      codes.delete(digest);
      return found && found.expiresAtMs > clock.now() ? found.signIn : null;
    },
  };
}

function digestOf(code: string): string {
  return createHash("sha256").update(code).digest("hex");
}
