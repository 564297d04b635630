import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { HoldoverError, type ApiToken, type AuditDraft, type Clock, type Role, type TokenStore } from "@holdover/core";
import type { SignIn } from "./sign-in-codes.ts";

/** Each call is compared with every token, so their number is what a call costs. */
const TOKENS_MOST = 1000;
/** The name of the token that is made at the first start and stands in a file: it can be replaced there only. */
const OWNER = "admin";
/** Tells what it is wherever one is found; scanners for secrets go by it. */
const PREFIX = "holdover_";

/** What a browser that was let in by a link is called: it lasts for a working day, and many come and go. */
const PAGE_NAME = /^page-[0-9a-f]{8}$/;
const PAGE_LASTS_MS = 12 * 3_600_000;
/** Browsers that are let in at once: they must leave room for the tokens that people make. */
const PAGES_MOST = 200;

/** Who calls, by the token that was sent. */
export interface Caller {
  readonly name: string;
  readonly role: Role;
  /** Epoch ms at which the token ends; null: never. */
  readonly expiresAtMs: number | null;
  /** Whether the token would let its holder in still: it may be revoked, or expire, while a call is answered. */
  readonly isLetIn: () => boolean;
}

/** The tokens that let a caller in by TCP, as they are now. */
export interface Tokens {
  /** Whose token it is; null: nobody's, or it has expired. Takes the same time whatever was sent. */
  callerOf(sent: string): Caller | null;
  /** By name; without the one in the file. */
  list(): readonly ApiToken[];
  /**
   * Makes a token and stores its digest.
   * @param lastsMs how long it is valid, in ms; null: until it is revoked
   * @returns the token itself: it cannot be had again
   * @throws HoldoverError TOKEN_EXISTS, REQUEST_INVALID where there are too many, STORE_FAILED
   */
  create(
    wanted: { readonly name: string; readonly role: Role; readonly lastsMs: number | null },
    actor: string,
  ): Promise<{ readonly secret: string; readonly token: ApiToken }>;
  /** @throws HoldoverError TOKEN_UNKNOWN, STORE_FAILED */
  revoke(name: string, actor: string): Promise<void>;
  /**
   * Makes a token for a browser, and removes those of browsers that have expired.
   * @throws HoldoverError REQUEST_INVALID where too many are signed in, STORE_FAILED
   */
  signIn(signIn: SignIn): Promise<{ readonly secret: string; readonly token: ApiToken }>;
  /**
   * Revokes the token of a browser; another one is left as it is.
   * @returns whether it was one
   * @throws HoldoverError STORE_FAILED
   */
  signOut(name: string, actor: string): Promise<boolean>;
}

/**
 * @param ownerToken the content of the token file: its role is admin; not empty
 * @throws HoldoverError INTERNAL where it is empty
 */
export async function openTokens(store: TokenStore, ownerToken: string, clock: Clock): Promise<Tokens> {
  if (ownerToken === "") throw new HoldoverError("INTERNAL", { problem: "the API was given an empty token" });
  const owner: ApiToken = {
    name: OWNER,
    role: "admin",
    digest: digestOf(ownerToken).toString("hex"),
    createdAtMs: 0,
    expiresAtMs: null,
  };
  let stored: readonly ApiToken[] = [];
  let known: readonly { readonly token: ApiToken; readonly digest: Buffer }[] = [];
  const load = async (): Promise<void> => {
    stored = await store.list();
    known = [owner, ...stored].map((token) => ({ token, digest: Buffer.from(token.digest, "hex") }));
  };
  await load();

  const make = async (
    { name, role, expiresAtMs }: Pick<ApiToken, "name" | "role" | "expiresAtMs">,
    { actor, reason }: Pick<AuditDraft, "actor" | "reason">,
  ): Promise<{ readonly secret: string; readonly token: ApiToken }> => {
    if (stored.length >= TOKENS_MOST) {
      throw new HoldoverError("REQUEST_INVALID", { problem: `There are ${TOKENS_MOST} tokens already: revoke some.` });
    }
    const secret = `${PREFIX}${randomBytes(32).toString("base64url")}`;
    const atMs = clock.now();
    const digest = digestOf(secret).toString("hex");
    const token: ApiToken = { name, role, digest, createdAtMs: atMs, expiresAtMs };
    const entry = { atMs, kind: "token.created", actor, reason, detail: { token: name, role, expiresAtMs } };
    if (!(await store.create(token, [entry]))) throw new HoldoverError("TOKEN_EXISTS", { token: name });
    await load();
    return { secret, token };
  };
  const remove = async (name: string, { actor, reason }: Pick<AuditDraft, "actor" | "reason">): Promise<boolean> => {
    const entry = { atMs: clock.now(), kind: "token.revoked", actor, reason, detail: { token: name } };
    const was = await store.revoke(name, [entry]);
    if (was) await load();
    return was;
  };
  const hasExpired = ({ expiresAtMs }: ApiToken): boolean => expiresAtMs !== null && expiresAtMs <= clock.now();

  return {
    callerOf(sent) {
      const digest = digestOf(sent);
      let found: ApiToken | null = null;
      // To the end of the list, whether it was found or not; and an expired one is found like any other.
      for (const one of known) if (timingSafeEqual(one.digest, digest)) found = one.token;
      if (!found || hasExpired(found)) return null;
      const token = found;
      const isLetIn = (): boolean =>
        !hasExpired(token) && known.some((one) => one.token.digest === token.digest && one.token.name === token.name);
      return { name: token.name, role: token.role, expiresAtMs: token.expiresAtMs, isLetIn };
    },
    list: () => stored,
    async create({ name, role, lastsMs }, actor) {
      if (name === OWNER) throw new HoldoverError("TOKEN_EXISTS", { token: name });
      const expiresAtMs = lastsMs === null ? null : clock.now() + lastsMs;
      return make({ name, role, expiresAtMs }, { actor, reason: "asked for by the API" });
    },
    async revoke(name, actor) {
      if (await remove(name, { actor, reason: "asked for by the API" })) return;
      throw new HoldoverError("TOKEN_UNKNOWN", { token: name });
    },
    async signIn({ role, actor, untilMs }) {
      const pages = stored.filter(({ name }) => PAGE_NAME.test(name));
      const over = pages.filter(hasExpired);
      for (const { name } of over) await remove(name, { actor: "control", reason: "it had expired" });
      if (pages.length - over.length >= PAGES_MOST) {
        const problem = `${PAGES_MOST} browsers are signed in already: revoke some of the tokens named page-….`;
        throw new HoldoverError("REQUEST_INVALID", { problem });
      }
      const name = `page-${randomBytes(4).toString("hex")}`;
      const expiresAtMs = Math.min(clock.now() + PAGE_LASTS_MS, untilMs ?? Infinity);
      return make({ name, role, expiresAtMs }, { actor, reason: "a browser signed in by a link" });
    },
    async signOut(name, actor) {
      return PAGE_NAME.test(name) && (await remove(name, { actor, reason: "the browser signed out" }));
    },
  };
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
