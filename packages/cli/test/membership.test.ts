import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { newEd25519Key, verifyEd25519 } from "@holdover/adapters/signers/ed25519";
import {
  CERTIFICATE_MS,
  checkCertificate,
  readCertificate,
  signCertificate,
  signTable,
  type Certificate,
  type SignedText,
} from "@holdover/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  membershipWorld,
  newChallenge,
  newWorker,
  ROOMS,
  shown,
  type MembershipWorld,
  type Worker,
} from "./membership-world.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const CHAT = { service: "chat", release: "v1" };

let world: MembershipWorld;
beforeEach(async () => {
  world = await membershipWorld();
});
afterEach(() => world.close());

const contentOf = (signed: SignedText | null): Certificate => {
  const content = signed && readCertificate(signed);
  if (!content) throw new Error("there is no certificate");
  return content;
};
const tableOf = (number: number) => ({ number, services: [] });
const rejections = async () =>
  (await world.entries("worker.rejected")).map(({ instance, detail }) => `${instance} ${String(detail?.["reason"])}`);

async function joined(instance: string, as = ROOMS): Promise<Worker> {
  const worker = await world.start(instance, as);
  expect(await world.meet(worker)).toBe("in");
  return worker;
}

test("a worker joins once with its token, and comes back with its certificate", async () => {
  const worker = await world.start("rooms.v1-1");
  expect(await world.meet(worker)).toBe("in");
  expect(worker.token).toBeNull();
  expect(contentOf(worker.certificate)).toMatchObject({
    serial: 1,
    ...ROOMS,
    instance: "rooms.v1-1",
    publicKey: worker.signer.publicKey,
    fromMs: world.clock.now(),
    untilMs: world.clock.now() + CERTIFICATE_MS,
    epoch: 1,
  });
  for (let times = 0; times < 3; times += 1) expect(await world.meet(worker)).toBe("in");
  expect(
    (await world.entries("worker.joined")).map(({ instance, service, release }) => [instance, service, release]),
  ).toEqual([["rooms.v1-1", "rooms", "v1"]]);
  expect(await rejections()).toEqual([]);
});

describe("No session for", () => {
  let good: Worker;
  beforeEach(async () => {
    good = await joined("rooms.v1-1");
  });

  /** Whoever was in before is untouched: it still has its place and its certificate. */
  async function expectRefused(instance: string, reason: string): Promise<void> {
    expect(await rejections()).toEqual([`${instance} ${reason}`]);
    const before = await world.store.members.load();
    expect(before.members.map((member) => member.instance)).toContain(good.instance);
    expect(await world.meet(good)).toBe("in");
    expect(await world.store.members.load()).toEqual(before);
  }

  test("a leftover worker of a retired release, with the token that it was started with", async () => {
    const leftover = await world.start("rooms.v0-7", { service: "rooms", release: "v0" });
    world.running.delete(leftover.instance);
    expect(await world.meet(leftover)).toBe("unknown-instance");
    await expectRefused("rooms.v0-7", "unknown-instance");
  });

  test("a leftover worker that takes its old token to an instance that runs", async () => {
    const leftover = await world.start("rooms.v0-7", { service: "rooms", release: "v0" });
    world.running.delete(leftover.instance);
    world.running.set("rooms.v1-2", ROOMS);
    expect(await world.meet({ ...leftover, instance: "rooms.v1-2" })).toBe("token");
    await expectRefused("rooms.v1-2", "token");
  });

  test("a leftover worker of a retired release, with its certificate", async () => {
    const leftover = await joined("rooms.v0-7", { service: "rooms", release: "v0" });
    world.running.delete(leftover.instance);
    expect(await world.meet(leftover)).toBe("unknown-instance");
    await expectRefused("rooms.v0-7", "unknown-instance");
    await expect(world.renew(leftover)).rejects.toMatchObject({ details: { reason: "unknown-instance" } });
  });

  test("a token that is over", async () => {
    const late = await world.start("rooms.v1-2");
    await world.clock.advance(MINUTE_MS);
    expect(await world.meet(late)).toBe("token");
    await expectRefused("rooms.v1-2", "token");
  });

  test("a token that nobody gave out", async () => {
    world.running.set("rooms.v1-2", ROOMS);
    const token = `holdover_join_${randomBytes(32).toString("base64url")}`;
    expect(await world.meet(newWorker("rooms.v1-2", { token }))).toBe("token");
    await expectRefused("rooms.v1-2", "token");
  });

  test("a hello that was recorded and is sent again", async () => {
    const challenge = newChallenge();
    const recorded = world.hello(good, challenge);
    expect((await world.answer(recorded, challenge)).verdict).toBe("in");
    expect((await world.answer(recorded, newChallenge())).verdict).toBe("proof");
    await expectRefused("rooms.v1-1", "proof");
  });

  test("whoever took a certificate on its way, without its key", async () => {
    expect(await world.meet(newWorker("rooms.v1-1", { certificate: good.certificate }))).toBe("certificate");
    await expectRefused("rooms.v1-1", "certificate");
  });

  test("a certificate of another service", async () => {
    const other = await joined("chat.v1-1", CHAT);
    world.running.set("rooms.v1-2", ROOMS);
    expect(await world.meet({ ...other, instance: "rooms.v1-2" })).toBe("other-service");
    await expectRefused("rooms.v1-2", "other-service");
  });

  test("a certificate that somebody made for himself", async () => {
    const forger = newEd25519Key().signer;
    const content = { ...contentOf(good.certificate), publicKey: forger.publicKey };
    const certificate = signCertificate(content, [forger]);
    expect(await world.meet(newWorker("rooms.v1-1", { signer: forger, certificate }))).toBe("certificate");
    await expectRefused("rooms.v1-1", "certificate");
  });

  test.each([10 * MINUTE_MS, -10 * MINUTE_MS])("a clock that is %d ms off", async (clockOffMs) => {
    expect(await world.meet({ ...good, clockOffMs })).toBe("clock");
    await expectRefused("rooms.v1-1", "clock");
  });

  test("a worker that was shown a forged table, or an older one: it follows neither, and says so", async () => {
    const trust = world.authority.trust();
    const inForce = { trust, number: 7 };
    const forged = signTable({ trust, table: tableOf(8) }, [newEd25519Key().signer]);
    const edited = world.authority.signTable(tableOf(8));
    const older = world.authority.signTable(tableOf(6));
    const problems = [
      shown(forged, inForce),
      shown({ ...edited, body: edited.body.replace('"number":8', '"number":9') }, inForce),
      shown(older, inForce),
    ];
    expect(problems).toEqual([
      "A routing table was refused: no key that is trusted has signed it",
      "A routing table was refused: no key that is trusted has signed it",
      "A routing table was refused: it has the number 6, and table 7 is in force",
    ]);
    expect(shown(edited, inForce)).toBe(8);
    await world.authority.rejected({ instance: good.instance, reason: "table", problem: String(problems[2]) });
    await expectRefused("rooms.v1-1", "table");
  });

  test("a table of an older epoch, although its number is higher", async () => {
    const old = world.authority.signTable(tableOf(1000));
    await world.authority.revoke(good.instance, "operator", "a test wants an epoch");
    const trust = world.authority.trust();
    expect(shown(old, { trust, number: 7 })).toBe(
      `A routing table was refused: it is of epoch ${trust.epoch - 1}, and epoch ${trust.epoch} is known`,
    );
  });
});

describe("Of two processes with one join token", () => {
  test("one gets in, whichever comes first, and the other is audited", async () => {
    const first = await world.start("rooms.v1-1");
    const second = newWorker("rooms.v1-1", { token: first.token });
    const verdicts = await Promise.all([world.meet(first), world.meet(second)]);
    expect(verdicts.toSorted()).toEqual(["in", "token"]);
    expect(await world.entries("worker.joined")).toHaveLength(1);
    expect(await rejections()).toEqual(["rooms.v1-1 token"]);
    const [winner, loser] = verdicts[0] === "in" ? [first, second] : [second, first];
    expect(await world.meet(winner)).toBe("in");
    expect(await world.meet(loser)).toBe("token");
  });

  test("the same process gets its certificate again, where the answer was lost", async () => {
    const worker = await world.start("rooms.v1-1");
    const { token } = worker;
    expect(await world.meet(worker)).toBe("in");
    await world.restart();
    const again = { ...worker, token, certificate: null };
    expect(await world.meet(again)).toBe("in");
    expect(contentOf(again.certificate).serial).toBe(2);
    expect(await world.entries("worker.joined")).toHaveLength(1);
  });
});

describe("A certificate", () => {
  let worker: Worker;
  beforeEach(async () => {
    worker = await joined("rooms.v1-1");
  });

  test("is renewed at half of its time, so that there is always one that is good", async () => {
    for (let hour = 1; hour <= 5; hour += 1) {
      await world.clock.advance(CERTIFICATE_MS / 2);
      worker.certificate = await world.renew(worker);
      expect(contentOf(worker.certificate).serial).toBe(hour + 1);
      expect(await world.meet(worker)).toBe("in");
    }
    // Renewals are no news.
    expect(await world.entries("worker.joined")).toHaveLength(1);
  });

  test("that is young is not made anew, however often it is asked for", async () => {
    for (let times = 0; times < 10; times += 1) expect(await world.renew(worker)).toEqual(worker.certificate);
    expect((await world.store.members.load()).lastSerial).toBe(1);
  });

  test("that has run out lets nobody in, and can be exchanged for a week: the machine slept", async () => {
    await world.clock.advance(7 * DAY_MS);
    expect(await world.meet(worker)).toBe("expired");
    worker.certificate = await world.renew(worker);
    expect(await world.meet(worker)).toBe("in");
    await world.clock.advance(7 * DAY_MS + CERTIFICATE_MS);
    await expect(world.renew(worker)).rejects.toMatchObject({ details: { reason: "expired" } });
  });

  test("is not renewed for another key, nor by the word of another key than control's", async () => {
    const { instance, certificate } = worker;
    const forger = newEd25519Key().signer;
    const { publicKey } = forger;
    await expect(world.authority.issue({ instance, publicKey, token: null, certificate })).rejects.toMatchObject({
      details: { reason: "certificate" },
    });
    const forged = signCertificate({ ...contentOf(certificate), publicKey }, [forger]);
    await expect(world.renew({ ...worker, signer: forger, certificate: forged })).rejects.toMatchObject({
      details: { reason: "certificate" },
    });
    expect(await rejections()).toEqual(["rooms.v1-1 certificate", "rooms.v1-1 certificate"]);
  });
});

describe("A revocation", () => {
  test("shuts the instance out on every host, by the next table and from then on, and nobody else", async () => {
    const [bad, good] = [await joined("rooms.v1-1"), await joined("rooms.v1-2")];
    const before = world.authority.trust();
    await world.authority.revoke("rooms.v1-1", "operator:ana", "its machine was stolen");
    const { epoch, revoked } = world.authority.trust();
    expect([epoch, revoked, world.published?.epoch]).toEqual([before.epoch + 1, ["rooms.v1-1"], before.epoch + 1]);
    expect(await world.meet(bad)).toBe("revoked");
    await expect(world.renew(bad)).rejects.toMatchObject({ details: { reason: "revoked" } });
    const { instance, signer } = bad;
    const again = { instance, publicKey: signer.publicKey, token: "its old one", certificate: null };
    await expect(world.authority.issue(again)).rejects.toMatchObject({ details: { reason: "revoked" } });
    expect(await world.meet(good)).toBe("in");
    expect(await world.entries("worker.revoked")).toMatchObject([
      { instance: "rooms.v1-1", actor: "operator:ana", reason: "its machine was stolen", detail: { epoch } },
    ]);
    // Again is the same.
    await world.authority.revoke("rooms.v1-1", "operator", "again");
    expect(world.authority.trust().epoch).toBe(epoch);
    await world.restart();
    expect(await world.meet(bad)).toBe("revoked");
  });

  test("is forgotten when the instance runs no more and its certificate has run out, and not before", async () => {
    const bad = await joined("rooms.v1-1");
    await world.authority.revoke("rooms.v1-1", "operator", "x");
    for (const days of [1, 6, 8]) {
      await world.clock.advance(days * DAY_MS);
      // What is over is cleared away when the next instance starts.
      await world.start(`rooms.v1-${10 + days}`);
      expect(world.authority.trust().revoked).toEqual(["rooms.v1-1"]);
      expect(await world.meet(bad)).toBe("revoked");
      await expect(world.renew(bad)).rejects.toMatchObject({ details: { reason: "revoked" } });
    }
    world.running.delete("rooms.v1-1");
    expect(world.authority.trust().revoked).toEqual([]);
    await world.start("rooms.v1-20");
    expect(world.authority.show().members).toEqual([]);
    expect(await world.meet(bad)).toBe("unknown-instance");
  });

  test("stays in the table for as long as a certificate is good, although the instance seems to be gone", async () => {
    await joined("rooms.v1-1");
    await world.authority.revoke("rooms.v1-1", "operator", "x");
    world.running.delete("rooms.v1-1");
    await world.clock.advance(CERTIFICATE_MS + 2 * MINUTE_MS - 1);
    expect(world.authority.trust().revoked).toEqual(["rooms.v1-1"]);
    await world.clock.advance(1);
    expect(world.authority.trust().revoked).toEqual([]);
  });

  test("is kept while control does not know what runs; nobody is refused for that, and nobody is given anything", async () => {
    const [bad, good] = [await joined("rooms.v1-1"), await joined("rooms.v1-2")];
    await world.authority.revoke("rooms.v1-1", "operator", "x");
    await world.clock.advance(8 * DAY_MS);
    world.hostIsAway = true;
    await world.restart();
    await world.authority.invite({ instance: "rooms.v1-3", ...ROOMS }, MINUTE_MS);
    expect(world.authority.trust().revoked).toEqual(["rooms.v1-1"]);
    for (const worker of [bad, good]) await expect(world.renew(worker)).rejects.toMatchObject({ code: "LINK_DOWN" });
    expect(await rejections()).toEqual([]);
  });

  test("of an instance that has not joined yet takes its token away", async () => {
    const slow = await world.start("rooms.v1-1");
    await world.authority.revoke("rooms.v1-1", "operator", "x");
    expect(await world.meet(slow)).toBe("token");
    const unknown = world.authority.revoke("rooms.v9-9", "operator", "x");
    await expect(unknown).rejects.toMatchObject({ code: "MEMBER_UNKNOWN" });
  });
});

describe("A rotation", () => {
  test("has no gap: who knows the old key follows, old certificates hold, and the new key takes over", async () => {
    const worker = await joined("rooms.v1-1");
    const before = world.authority.trust();
    await world.authority.rotate("operator", "once a year");
    const during = world.authority.trust();
    expect([during.epoch, during.keys.length, during.keys[1]]).toEqual([before.epoch + 1, 2, before.keys[0]]);
    const table = world.authority.signTable(tableOf(8));
    expect(shown(table, { trust: before, number: 7 })).toBe(8);
    expect(await world.meet(worker, during)).toBe("in");
    // A host that has not heard of it yet takes certificates that are made now.
    const next = await joined("rooms.v1-2");
    expect(await world.meet(next, before)).toBe("in");

    await world.clock.advance(DAY_MS);
    const after = world.authority.trust();
    expect([after.epoch, after.keys]).toEqual([before.epoch + 2, [during.keys[0]]]);
    expect(world.published).toEqual(after);
    await expect.poll(() => world.keyFiles()).toEqual(after.keys);
    expect(shown(world.authority.signTable(tableOf(9)), { trust: during, number: 8 })).toBe(9);
    const kinds = (await world.store.audit.tail(100)).map(({ kind }) => kind).filter((kind) => kind.startsWith("key."));
    expect(kinds).toEqual(["key.created", "key.rotated", "key.retired"]);
    expect(world.logged).toEqual([]);
  });

  test("outlasts every certificate that the old key alone has signed", async () => {
    const worker = await joined("rooms.v1-1");
    await world.authority.rotate("operator", "x");
    for (let hour = 0; hour < 25; hour += 0.5) {
      await world.clock.advance(HOUR_MS / 2);
      worker.certificate = await world.renew(worker);
      expect(await world.meet(worker)).toBe("in");
    }
  });

  test("is followed by a worker that slept through its beginning", async () => {
    const sleeper = await joined("rooms.v1-1");
    const asleep = { trust: world.authority.trust(), number: 7 };
    await world.authority.rotate("operator", "x");
    await world.clock.advance(DAY_MS - MINUTE_MS);
    expect(shown(world.authority.signTable(tableOf(9)), asleep)).toBe(9);
    expect(await world.meet(sleeper)).toBe("expired");
    sleeper.certificate = await world.renew(sleeper);
    expect(await world.meet(sleeper)).toBe("in");
  });

  test("leaves a worker behind that slept through all of it: it follows nobody and nobody lets it in", async () => {
    const sleeper = await joined("rooms.v1-1");
    const asleep = { trust: world.authority.trust(), number: 7 };
    await world.authority.rotate("operator", "x");
    await world.clock.advance(DAY_MS);
    expect(shown(world.authority.signTable(tableOf(9)), asleep)).toContain("no key that is trusted");
    expect(await world.meet(sleeper)).toBe("certificate");
    await expect(world.renew(sleeper)).rejects.toMatchObject({ details: { reason: "certificate" } });
  });

  test("may come again before the last one is over, up to four keys", async () => {
    const before = { trust: world.authority.trust(), number: 7 };
    for (let times = 0; times < 3; times += 1) await world.authority.rotate("operator", "x");
    await expect(world.authority.rotate("operator", "x")).rejects.toMatchObject({ code: "SIGNING_KEYS_MOST" });
    expect(world.authority.show().keys).toHaveLength(4);
    expect(world.keyFiles()).toHaveLength(4);
    expect(shown(world.authority.signTable(tableOf(8)), before)).toBe(8);
    await world.clock.advance(DAY_MS);
    expect(world.authority.show().keys).toHaveLength(1);
  });

  test("of two at the same moment is made one after the other", async () => {
    await Promise.all([world.authority.rotate("ana", "x"), world.authority.rotate("bo", "y")]);
    expect(world.authority.show()).toMatchObject({ epoch: 3, keys: { length: 3 } });
    expect(world.authority.show().keys.filter(({ untilMs }) => untilMs === null)).toHaveLength(1);
  });
});

describe("What is left of control's files", () => {
  test("is enough without its database: hosts follow the next table, under an epoch that they do not know yet", async () => {
    await world.authority.rotate("operator", "x");
    const trust = world.authority.trust();
    await world.restart(() => rmSync(world.file));
    expect(world.authority.trust().epoch).toBeGreaterThan(trust.epoch);
    expect(shown(world.authority.signTable(tableOf(8)), { trust, number: 7 })).toBe(8);
    expect(world.keyFiles()).toEqual(world.authority.trust().keys.toSorted());
  });

  test("without any key begins anew, and says so: nobody who runs follows", async () => {
    const trust = world.authority.trust();
    const ring = await world.keyRing();
    for (const key of await ring.list()) await ring.remove(key);
    await world.restart();
    expect(shown(world.authority.signTable(tableOf(8)), { trust, number: 7 })).toContain("no key that is trusted");
    expect(world.authority.trust().epoch).toBe(trust.epoch + 1);
    expect((await world.entries("key.created")).at(-1)?.reason).toContain("were gone");
  });

  test("with one key of several gone is not enough to start, and nothing is changed", async () => {
    await world.authority.rotate("operator", "x");
    const ring = await world.keyRing();
    const [newest = ""] = world.authority.trust().keys;
    await ring.remove(newest);
    const files = world.keyFiles();
    await expect(world.restart()).rejects.toMatchObject({ code: "KEY_UNREADABLE" });
    expect(world.keyFiles()).toEqual(files);
  });
});

describe("The audit log", () => {
  test("is not flooded by a worker that is refused again and again: the rest is counted", async () => {
    const [worker, other] = [await joined("rooms.v1-1"), await joined("rooms.v1-2")];
    for (let times = 0; times < 50; times += 1) await world.meet({ ...worker, clockOffMs: HOUR_MS });
    expect(await rejections()).toHaveLength(5);
    // It hides no other worker, and no other reason.
    await world.meet({ ...other, clockOffMs: HOUR_MS });
    await world.meet({ ...worker, signer: newEd25519Key().signer });
    expect((await rejections()).slice(5)).toEqual(["rooms.v1-2 clock", "rooms.v1-1 certificate"]);
    await world.clock.advance(MINUTE_MS);
    await world.meet({ ...worker, clockOffMs: HOUR_MS });
    expect((await world.entries("worker.rejected")).at(-1)?.detail).toEqual({ reason: "clock", untold: 45 });
    // What is counted is every one of them.
    expect(world.authority.rejections()).toMatchObject({ clock: 52, certificate: 1, token: 0 });
  });

  test("is not flooded by a worker that calls itself something else each time", async () => {
    for (let times = 0; times < 3000; times += 1) await world.meet(newWorker(`rooms.v1-${times}`, { token: "x" }));
    expect(await rejections()).toHaveLength(100);
    await world.clock.advance(MINUTE_MS);
    await world.meet(newWorker("rooms.v1-9999", { token: "x" }));
    expect((await rejections()).slice(100)).toEqual(["rooms.v1-9999 unknown-instance"]);
  });

  test("takes what a worker calls itself and what is said of it in part only", async () => {
    await world.authority.rejected({ instance: "x".repeat(5000), reason: "table", problem: "y".repeat(5000) });
    const [entry] = await world.entries("worker.rejected");
    expect([entry?.instance?.length, entry?.reason.length]).toEqual([160, 500]);
  });
});

test("control goes on where it was killed: epoch, keys, members and numbers", async () => {
  const worker = await joined("rooms.v1-1");
  await world.authority.rotate("operator", "x");
  const before = { trust: world.authority.trust(), shown: world.authority.show() };
  await world.restart();
  expect({ trust: world.authority.trust(), shown: world.authority.show() }).toEqual(before);
  expect(await world.meet(worker)).toBe("in");
  expect(contentOf((await joined("rooms.v1-2")).certificate).serial).toBe(2);
  // The end of the phase-out is kept over the restart.
  await world.restart();
  await world.clock.advance(DAY_MS);
  expect(world.authority.trust().keys).toEqual([before.trust.keys[0]]);
  const { certificate } = await joined("rooms.v1-3");
  const claim = { instance: "rooms.v1-3", publicKey: contentOf(certificate).publicKey };
  const check = {
    claim,
    known: ROOMS,
    trust: world.authority.trust(),
    nowMs: world.clock.now(),
    verify: verifyEd25519,
  };
  expect(checkCertificate(certificate ?? { body: "", signatures: [] }, check).serial).toBe(3);
});
