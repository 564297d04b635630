import { expect, test } from "vitest";
import { openLedger } from "./room-ledger.ts";

function ledgerOf(...members: string[]) {
  const ledger = openLedger("red");
  for (const member of members) ledger.arrives(member);
  return ledger;
}

test("a message is due to everybody present, and received when it came", () => {
  const ledger = ledgerOf("ada", "grace");
  const n = ledger.sends("ada");
  expect(ledger.account()).toMatchObject({ sent: 1, outstanding: 2, received: 0 });
  ledger.receives("ada", "ada", n);
  ledger.receives("grace", "ada", n);
  expect(ledger.account()).toMatchObject({ outstanding: 0, received: 2 });
});

test("a message that never comes stays outstanding, though a later one of its sender comes", async () => {
  const ledger = ledgerOf("ada", "grace");
  ledger.sends("ada");
  const second = ledger.sends("ada");
  ledger.receives("grace", "ada", second);
  expect(await ledger.settled(0, "grace")).toBe(1);
});

test("a message that comes twice is a duplicate", () => {
  const ledger = ledgerOf("ada");
  const n = ledger.sends("ada");
  ledger.receives("ada", "ada", n);
  ledger.receives("ada", "ada", n);
  expect(ledger.account()).toMatchObject({ received: 1, duplicated: 1 });
});

test("a message behind a later one of its sender is misordered", () => {
  const ledger = ledgerOf("ada");
  const [first, second] = [ledger.sends("ada"), ledger.sends("ada")];
  ledger.receives("ada", "ada", second);
  ledger.receives("ada", "ada", first);
  expect(ledger.account()).toMatchObject({ received: 2, misordered: 1, outstanding: 0 });
});

test("nothing is due to a member from its leave on, but what was due before stays due", () => {
  const ledger = ledgerOf("ada", "grace");
  const before = ledger.sends("ada");
  ledger.departs("grace");
  const after = ledger.sends("ada");
  ledger.receives("ada", "ada", before);
  ledger.receives("ada", "ada", after);
  expect(ledger.account().outstanding).toBe(1);
  ledger.receives("grace", "ada", before);
  expect(ledger.account()).toMatchObject({ outstanding: 0, received: 3 });
});

test("what comes without being due may come once and counts as nothing", () => {
  const ledger = ledgerOf("ada");
  ledger.departs("ada");
  const n = ledger.sends("grace");
  ledger.receives("ada", "grace", n);
  expect(ledger.account()).toMatchObject({ received: 0, duplicated: 0, outstanding: 0 });
  ledger.receives("ada", "grace", n);
  expect(ledger.account().duplicated).toBe(1);
});

test("settled resolves when the last delivery came", async () => {
  const ledger = ledgerOf("ada", "grace");
  const n = ledger.sends("ada");
  const settled = ledger.settled(60_000);
  ledger.receives("ada", "ada", n);
  ledger.receives("grace", "ada", n);
  expect(await settled).toBe(0);
});
