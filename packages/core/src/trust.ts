import { z } from "zod";
import { HoldoverError } from "./errors.ts";
import type { Signer, VerifySignature } from "./ports/signer.ts";
import { routingTable, type RoutingTable } from "./routing-table.ts";
import { isSignedBy, publicKeyText, signText, type SignedText } from "./signed-text.ts";

/** Keys that are trusted at once: one more for each rotation whose old key is still being phased out. */
export const TRUSTED_KEYS_MOST = 4;
/** Instances that are revoked and still run, or whose certificate has not run out yet. */
export const REVOKED_MOST = 1000;
/** `service.release-ordinal`, see instanceId: some 125 characters at the most. */
export const INSTANCE_ID_CHARS = 160;

const trust = z.object({
  epoch: z.int().min(0),
  keys: z.array(publicKeyText).min(1).max(TRUSTED_KEYS_MOST),
  revoked: z.array(z.string().max(INSTANCE_ID_CHARS)).max(REVOKED_MOST),
});

/** Whom a router or a worker believes. It comes with every routing table, and the table is signed. */
export interface Trust {
  /** Grows with every change of the keys and with every revocation. */
  readonly epoch: number;
  /** Any of them may sign: the newest first, then those that are being phased out. */
  readonly keys: readonly string[];
  /** Ids of instances; each is left out again when it runs no more and its last certificate has run out. */
  readonly revoked: readonly string[];
}

/** A table that was accepted, and whom to believe from now on. */
export interface TrustedTable {
  readonly trust: Trust;
  readonly table: RoutingTable;
}

const trustedTable = z.object({ trust, table: routingTable });

/** @param signers of every key in `trust.keys`, so that whoever missed a rotation still follows */
export function signTable({ trust, table }: TrustedTable, signers: readonly Signer[]): SignedText {
  return signText("table", JSON.stringify({ trust, table }), signers);
}

/**
 * Takes a table from control, or refuses it. A table follows the one in force where its epoch is above the known one,
 * or is the same and its number is not below; the same one may come twice.
 *
 * @param known whom is believed now, and the number of the table in force: 0 for none
 * @throws HoldoverError TABLE_REJECTED where no trusted key has signed it, where it is older, where it cannot be read
 */
export function acceptTable(
  signed: SignedText,
  known: { readonly trust: Trust; readonly number: number },
  verify: VerifySignature,
): TrustedTable {
  if (!isSignedBy("table", signed, known.trust.keys, verify)) {
    throw rejected("no key that is trusted has signed it");
  }
  const read = trustedTable.safeParse(parsed(signed.body));
  if (!read.success) throw rejected(`it cannot be read: ${z.prettifyError(read.error).slice(0, 300)}`);
  const { trust, table } = read.data;
  if (trust.epoch < known.trust.epoch) {
    throw rejected(`it is of epoch ${trust.epoch}, and epoch ${known.trust.epoch} is known`);
  }
  if (trust.epoch === known.trust.epoch && table.number < known.number) {
    throw rejected(`it has the number ${table.number}, and table ${known.number} is in force`);
  }
  return { trust, table };
}

/**
 * Whom to believe at the start, as it was written by {@link writeTrust} where nobody else can write: a file in the state
 * directory, the environment of an instance.
 * @throws HoldoverError TABLE_REJECTED
 */
export function readTrust(text: string): Trust {
  const read = trust.safeParse(parsed(text));
  if (read.success) return read.data;
  throw rejected(`whom to trust cannot be read: ${z.prettifyError(read.error).slice(0, 300)}`);
}

export function writeTrust({ epoch, keys, revoked }: Trust): string {
  return JSON.stringify({ epoch, keys, revoked });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function rejected(problem: string): HoldoverError {
  return new HoldoverError("TABLE_REJECTED", { problem });
}
