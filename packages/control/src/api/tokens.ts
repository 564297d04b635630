import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { HoldoverError, type ApiToken, type Clock, type Role, type TokenStore } from "@holdover/core";

/** Each call is compared with every token, so their number is what a call costs. */
const TOKENS_MOST = 1000;
/** The name of the token that is made at the first start and stands in a file: it can be replaced there only. */
const OWNER = "admin";
/** Tells what it is wherever one is found; scanners for secrets go by it. */
const PREFIX = "holdover_";

/** Who calls, by the token that was sent. */
export interface Caller {
  readonly name: string;
  readonly role: Role;
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

  return {
    callerOf(sent) {
      const digest = digestOf(sent);
      let found: ApiToken | null = null;
      // To the end of the list, whether it was found or not; and an expired one is found like any other.
      for (const one of known) if (timingSafeEqual(one.digest, digest)) found = one.token;
      if (!found || (found.expiresAtMs !== null && found.expiresAtMs <= clock.now())) return null;
      return { name: found.name, role: found.role };
    },
    list: () => stored,
    async create({ name, role, lastsMs }, actor) {
      if (name === OWNER) throw new HoldoverError("TOKEN_EXISTS", { token: name });
      if (stored.length >= TOKENS_MOST) {
        throw new HoldoverError("REQUEST_INVALID", {
          problem: `There are ${TOKENS_MOST} tokens already: revoke some.`,
        });
      }
      const secret = `${PREFIX}${randomBytes(32).toString("base64url")}`;
      const atMs = clock.now();
      const token: ApiToken = {
        name,
        role,
        digest: digestOf(secret).toString("hex"),
        createdAtMs: atMs,
        expiresAtMs: lastsMs === null ? null : atMs + lastsMs,
      };
      const detail = { token: name, role, expiresAtMs: token.expiresAtMs };
      const entry = { atMs, kind: "token.created", actor, reason: "asked for by the API", detail };
      if (!(await store.create(token, [entry]))) throw new HoldoverError("TOKEN_EXISTS", { token: name });
      await load();
      return { secret, token };
    },
    async revoke(name, actor) {
      const detail = { token: name };
      const entry = { atMs: clock.now(), kind: "token.revoked", actor, reason: "asked for by the API", detail };
      if (!(await store.revoke(name, [entry]))) throw new HoldoverError("TOKEN_UNKNOWN", { token: name });
      await load();
    },
  };
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
