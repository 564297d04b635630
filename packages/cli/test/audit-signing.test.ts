import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openEd25519Signer, publicKeyPem, verifyEd25519 } from "@holdover/adapters/signers/ed25519";
import { openControlStore, type ControlStore } from "@holdover/adapters/stores/sqlite";
import { createAuditSigning } from "@holdover/control";
import type { AuditDraft, Signer } from "@holdover/core";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { verifyAuditFile } from "../src/audit-file.ts";

const MINUTE_MS = 60_000;

let dir: string;
let file: string;
let store: ControlStore;
let signer: Signer;
let clock: ManualClock;
let logged: string[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-signing-"));
  file = join(dir, "control.db");
  signer = await openEd25519Signer(join(dir, "audit-key.pem"));
  clock = new ManualClock();
  logged = [];
  store = openControlStore(file);
  await store.audit.append([draft("a"), draft("b"), draft("c")]);
});
afterEach(async () => {
  store.close();
  await rm(dir, { recursive: true });
});

const newSigning = (by = signer) =>
  createAuditSigning({
    audit: store.audit,
    heads: store.signedHeads,
    signer: by,
    verify: verifyEd25519,
    clock,
    log: { error: (fields, message) => void logged.push(`${message}: ${String(fields["err"])}`) },
  });

/** Has the file while Holdover does not run. */
function tamper(sql: string): void {
  store.close();
  const other = new DatabaseSync(file);
  other.exec(sql);
  other.close();
  store = openControlStore(file);
}

async function textOf(lines: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const line of lines) text += line;
  return text;
}

test("the head is signed at the start, a minute after it has moved, and at the end", async () => {
  const signing = newSigning();
  const signedSeq = async () => (await store.signedHeads.last())?.seq;
  await signing.start();
  expect(await signedSeq()).toBe(3);
  await store.audit.append([draft("d")]);
  await clock.advance(MINUTE_MS - 1);
  expect(await signedSeq()).toBe(3);
  await clock.advance(1);
  await expect.poll(signedSeq).toBe(4);
  await store.audit.append([draft("e")]);
  await signing.stop();
  expect(await signedSeq()).toBe(5);
  expect(await signing.verify()).toMatchObject({ head: { seq: 5 }, signed: { seq: 5, publicKey: signer.publicKey } });
  expect(logged).toEqual([]);
});

const CUT_TO_2 =
  "DELETE FROM audit WHERE seq > 2; UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit WHERE seq = 2)";

describe("A chain that was changed while Holdover did not run", () => {
  test.each([
    ["cut off, its head with it", CUT_TO_2],
    [
      "emptied, as if there never was one",
      `DELETE FROM audit; UPDATE audit_head SET seq = 0, hash = '${"0".repeat(64)}'`,
    ],
    ["edited", "UPDATE audit SET body = replace(body, 'planner', 'nobody') WHERE seq = 2"],
    ["given another signed head", "UPDATE audit_signed_head SET body = replace(body, '\"seq\":3', '\"seq\":2')"],
    ["left with no readable signed head", "UPDATE audit_signed_head SET body = '{}'"],
  ])("%s: is found, and stays found after it has gone on", async (_what, sql) => {
    await newSigning().start();
    tamper(sql);
    const signing = newSigning();
    await signing.start();
    await expect(signing.verify()).rejects.toMatchObject({ code: "AUDIT_BROKEN" });
    for (const kind of ["x", "y", "z"]) await store.audit.append([draft(kind)]);
    await signing.stop();
    await expect(newSigning().verify()).rejects.toMatchObject({ code: "AUDIT_BROKEN" });
    await expect(signing.export(0, null)).rejects.toMatchObject({ code: "AUDIT_BROKEN" });
  });

  test("cut off and written on to the same length by the rules of the chain is found", async () => {
    await newSigning().start();
    tamper(CUT_TO_2);
    await store.audit.append([draft("forged"), draft("forged")]);
    const signing = newSigning();
    await signing.start();
    await expect(signing.verify()).rejects.toMatchObject({ code: "AUDIT_BROKEN", details: { seq: 3 } });
    expect(signing.isFailing()).toBe(true);
    // Told once, and not each time that it is tried again.
    await signing.stop();
    expect(logged).toHaveLength(1);
  });

  test("and signed with another key is found", async () => {
    await newSigning(await openEd25519Signer(join(dir, "other.pem"))).start();
    const signing = newSigning();
    await signing.start();
    await expect(signing.verify()).rejects.toMatchObject({ code: "AUDIT_BROKEN" });
  });
});

test("that a head could not be signed is told until one is", async () => {
  let full = false;
  const signing = createAuditSigning({
    audit: store.audit,
    heads: {
      last: () => store.signedHeads.last(),
      store: (head) => (full ? Promise.reject(new Error("disk full")) : store.signedHeads.store(head)),
    },
    signer,
    verify: verifyEd25519,
    clock,
    log: { error: () => {} },
  });
  await signing.start();
  expect(signing.isFailing()).toBe(false);
  await store.audit.append([draft("d")]);
  full = true;
  await clock.advance(MINUTE_MS);
  await expect.poll(() => signing.isFailing()).toBe(true);
  full = false;
  await clock.advance(MINUTE_MS);
  await expect.poll(() => signing.isFailing()).toBe(false);
  await signing.stop();
});

test("a signed head that is taken away while Holdover runs is missed", async () => {
  let taken = false;
  const signing = createAuditSigning({
    audit: store.audit,
    heads: {
      last: async () => (taken ? null : store.signedHeads.last()),
      store: (head) => store.signedHeads.store(head),
    },
    signer,
    verify: verifyEd25519,
    clock,
    log: { error: (_fields, message) => void logged.push(message) },
  });
  await signing.start();
  await signing.verify();
  taken = true;
  await expect(signing.verify()).rejects.toMatchObject({ code: "AUDIT_BROKEN" });
  await signing.stop();
  expect(logged).toEqual(["the head of the audit log was not signed"]);
});

describe("An export", () => {
  test.each([
    [0, null, 1500],
    [700, null, 1500],
    [3, 600, 600],
    [1500, null, 1500],
  ])("after %s until %s verifies in a file with the public key alone", async (after, until, last) => {
    await store.audit.append(Array.from({ length: 1497 }, (_, n) => draft(`kind ${n} é`)));
    const signing = newSigning();
    await signing.start();
    await writeFile(join(dir, "audit.jsonl"), await textOf(await signing.export(after, until)));
    await writeFile(join(dir, "audit-key.pub"), publicKeyPem(signer.publicKey));
    expect(await verifyAuditFile(join(dir, "audit.jsonl"), join(dir, "audit-key.pub"))).toMatchObject({
      from: { seq: after },
      seq: last,
    });
  });

  test.each([
    [4, null],
    [0, 4],
    [2, 1],
  ])("after %s until %s is refused: there are 3 entries", async (after, until) => {
    await expect(newSigning().export(after, until)).rejects.toMatchObject({ code: "REQUEST_INVALID" });
  });

  test("without its last line, or not there, is refused", async () => {
    const whole = await textOf(await newSigning().export(0, null));
    await writeFile(join(dir, "cut.jsonl"), whole.slice(0, whole.lastIndexOf("\n", whole.length - 2) + 1));
    const key = join(dir, "audit-key.pem");
    await expect(verifyAuditFile(join(dir, "cut.jsonl"), key)).rejects.toMatchObject({ code: "AUDIT_BROKEN" });
    await expect(verifyAuditFile(join(dir, "none"), key)).rejects.toMatchObject({ code: "USAGE_INVALID" });
    await writeFile(join(dir, "long"), "x".repeat(3_000_000));
    await expect(verifyAuditFile(join(dir, "long"), key)).rejects.toMatchObject({ code: "USAGE_INVALID" });
  });
});

function draft(kind: string): AuditDraft {
  return { atMs: 1, kind, actor: "planner", reason: "a test wanted it", service: "rooms" };
}
