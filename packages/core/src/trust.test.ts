import { describe, expect, test } from "vitest";
import { newKey, verifyKey } from "../test/ed25519-key.ts";
import type { Signer } from "./ports/signer.ts";
import { signText, type SignedText } from "./signed-text.ts";
import { acceptTable, readTrust, signTable, writeTrust, type Trust } from "./trust.ts";

const [k1, k2, k3] = [newKey(), newKey(), newKey()];
const trustOf = (epoch: number, ...keys: Signer[]): Trust => {
  return { epoch, keys: keys.map(({ publicKey }) => publicKey), revoked: [] };
};
const tableOf = (number: number) => ({ number, services: [] });
const signed = (trust: Trust, number: number, ...signers: Signer[]) =>
  signTable({ trust, table: tableOf(number) }, signers);
const accept = (text: SignedText, trust: Trust, number: number) => acceptTable(text, { trust, number }, verifyKey);
const refused = (problem: RegExp) =>
  expect.objectContaining({ code: "TABLE_REJECTED", message: expect.stringMatching(problem) as string }) as Error;

describe("A table", () => {
  const known = trustOf(3, k1);

  test("that a trusted key has signed is taken, with whom to trust from now on", () => {
    const trust = { ...trustOf(3, k1), revoked: ["rooms.v1-1"] };
    expect(accept(signed(trust, 8, k1), known, 7)).toEqual({ trust, table: tableOf(8) });
  });

  test("may come a second time", () => {
    expect(accept(signed(known, 7, k1), known, 7).table.number).toBe(7);
  });

  test("that is forged is refused: by another key, by none, with another content", () => {
    const good = signed(known, 8, k1);
    for (const forged of [
      signed(known, 8, k2),
      { ...good, signatures: [] },
      { ...good, body: good.body.replace('"number":8', '"number":9') },
    ]) {
      expect(() => accept(forged, known, 7)).toThrow(refused(/no key that is trusted/));
    }
  });

  test("cannot say itself whom to trust", () => {
    expect(() => accept(signed(trustOf(9, k2), 9, k2), known, 7)).toThrow(refused(/no key that is trusted/));
  });

  test("of the same epoch with a lower number is refused", () => {
    expect(() => accept(signed(known, 6, k1), known, 7)).toThrow(refused(/number 6, and table 7 is in force/));
  });

  test("of an older epoch is refused, whatever its number", () => {
    expect(() => accept(signed(trustOf(2, k1), 1000, k1), known, 7)).toThrow(refused(/epoch 2, and epoch 3/));
  });

  test("of a newer epoch is taken, whatever its number", () => {
    expect(accept(signed(trustOf(4, k1), 1, k1), known, 7).table.number).toBe(1);
  });

  test.each([
    ["no JSON", "{"],
    ["no table", JSON.stringify({ trust: known })],
    ["no trust", JSON.stringify({ table: tableOf(9) })],
    ["no key to trust", JSON.stringify({ trust: { ...known, keys: [] }, table: tableOf(9) })],
    ["a key that is none", JSON.stringify({ trust: { ...known, keys: ["k"] }, table: tableOf(9) })],
    ["too many keys", JSON.stringify({ trust: trustOf(3, k1, k1, k1, k1, k1), table: tableOf(9) })],
    ["an epoch that is no count", JSON.stringify({ trust: { ...known, epoch: -1 }, table: tableOf(9) })],
  ])("with %s in it is refused although it is signed", (_what, body) => {
    expect(() => accept(signText("table", body, [k1]), known, 7)).toThrow(refused(/cannot be read/));
  });
});

describe("A rotation", () => {
  const during = trustOf(4, k2, k1);
  const after = trustOf(5, k2);

  test("is followed by whoever knows the old key only, and once it has, needs that key no more", () => {
    const { trust } = accept(signed(during, 8, k2, k1), trustOf(3, k1), 7);
    expect(trust).toEqual(during);
    expect(accept(signed(after, 9, k2), trust, 8).trust).toEqual(after);
  });

  test("is over for whoever slept through all of it: a table that the new key alone has signed is refused", () => {
    expect(() => accept(signed(after, 9, k2), trustOf(3, k1), 7)).toThrow(refused(/no key that is trusted/));
  });

  test("leaves the old key no say in the end, and the next key has it at once", () => {
    expect(() => accept(signed(trustOf(6, k1), 10, k1), after, 9)).toThrow(refused(/no key that is trusted/));
    const twice = accept(signed(trustOf(6, k3, k2), 10, k3, k2), after, 9);
    expect(accept(signed(trustOf(6, k3, k2), 11, k3), twice.trust, 10).table.number).toBe(11);
  });
});

test("whom to trust at the start is read as it was written, and nothing else", () => {
  const trust = { ...trustOf(3, k1, k2), revoked: ["rooms.v1-1"] };
  expect(readTrust(writeTrust(trust))).toEqual(trust);
  for (const text of ["", "{", "[]", '{"epoch":1,"keys":[],"revoked":[]}']) {
    expect(() => readTrust(text)).toThrow(refused(/whom to trust cannot be read/));
  }
});
