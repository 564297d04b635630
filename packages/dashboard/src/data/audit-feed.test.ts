import { webcrypto } from "node:crypto";
import { effect } from "@preact/signals";
import { beforeEach, expect, test } from "vitest";
import { ApiFailure } from "./api-call.ts";
import { chain, createAuditFeed, entries, type AuditFeed, type Chain } from "./audit-feed.ts";
import { createWrittenLog, draftOf, type WrittenLog } from "./audit-fixture.ts";

let log: WrittenLog;
let feed: AuditFeed;
/** What stands in the way of an export; null: nothing. */
let failure: ApiFailure | null;
let exported: number[];

beforeEach(() => {
  log = createWrittenLog();
  failure = null;
  exported = [];
  feed = createAuditFeed(
    {
      open: async ({ query }) => {
        if (failure) throw failure;
        const after = Number(query?.["after"]);
        exported.push(after);
        return new Response(`${log.export(after).join("\n")}\n`);
      },
      audit: async () => ({ entries: log.entries.slice(-1) }),
    },
    webcrypto.subtle as SubtleCrypto,
  );
});

function write(count: number): void {
  for (let index = 0; index < count; index++) log.append(draftOf("session.moved"));
}

/** Waits until the chain is as it should be. */
function becomes(wanted: (now: Chain) => boolean): Promise<Chain> {
  return new Promise((resolve) => {
    let stop = (): void => {};
    let found = false;
    stop = effect(() => {
      const now = chain.value;
      if (found || !wanted(now)) return;
      found = true;
      queueMicrotask(() => {
        stop();
        resolve(now);
      });
    });
  });
}

/** Waits until the page holds an entry. */
function untilHeld(seq: number): Promise<void> {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (numbers().includes(seq)) queueMicrotask(() => (stop(), resolve()));
    });
  });
}

const soundAt = (seq: number) => becomes((now) => now.kind === "sound" && now.head.seq === seq);
const numbers = () => entries.value.map(({ seq }) => seq);

test("the last 500 entries are read and followed, and each new one is the next link", async () => {
  write(600);
  feed.begin();
  expect(await soundAt(600)).toMatchObject({ from: { seq: 100 }, signed: { seq: 600 }, signature: "checked" });
  expect(numbers()).toHaveLength(500);
  write(1);
  feed.take(log.entries[600]!);
  expect(await soundAt(601)).toMatchObject({ signed: { seq: 600 } });
  expect(exported).toEqual([100]);
});

test("an entry that was told twice stands once", async () => {
  write(3);
  feed.begin();
  await soundAt(3);
  feed.take(log.entries[2]!);
  write(1);
  feed.take(log.entries[3]!);
  feed.take(log.entries[3]!);
  await soundAt(4);
  expect(numbers()).toEqual([1, 2, 3, 4]);
});

test("what was written while the page was away is fetched and followed", async () => {
  write(3);
  feed.begin();
  await soundAt(3);
  write(5);
  feed.take(log.entries[7]!);
  await soundAt(8);
  expect(numbers()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test("a live entry that does not follow from the one before is told by its number, and nothing after it is vouched for", async () => {
  write(3);
  feed.begin();
  await soundAt(3);
  write(2);
  feed.take({ ...log.entries[3]!, actor: "mallory" });
  expect(await becomes(({ kind }) => kind === "broken")).toMatchObject({ seq: 4 });
  feed.take(log.entries[4]!);
  await untilHeld(5);
  expect(chain.value).toMatchObject({ kind: "broken", seq: 4 });
});

test("a whole chain that no longer goes through what was told before is told as broken", async () => {
  write(4);
  feed.begin();
  await soundAt(4);
  log = createWrittenLog();
  log.append(draftOf("release.current"));
  write(5);
  feed.check(true);
  expect(await becomes(({ kind }) => kind === "broken")).toMatchObject({ seq: 4 });
});

test("a log that has become shorter is told as broken", async () => {
  write(4);
  feed.begin();
  await soundAt(4);
  log.entries.length = 3;
  feed.check(true);
  expect(await becomes(({ kind }) => kind === "broken")).toMatchObject({ seq: 4 });
});

test("checking again goes on from the signed entry, or begins with the first", async () => {
  write(600);
  feed.begin();
  await soundAt(600);
  write(2);
  feed.take(log.entries[600]!);
  feed.take(log.entries[601]!);
  await soundAt(602);
  feed.check(false);
  expect(await becomes((now) => now.kind === "sound" && now.signed.seq === 602)).toMatchObject({ from: { seq: 100 } });
  feed.check(true);
  expect(await becomes((now) => now.kind === "sound" && now.from.seq === 0)).toMatchObject({ head: { seq: 602 } });
  expect(exported).toEqual([100, 600, 0]);
});

test("while nobody answers nothing is said of the chain, and the next entry makes it be read", async () => {
  write(3);
  failure = new ApiFailure(503, { code: "CONTROL_BUSY", what: "w", next: "n" });
  feed.begin();
  expect(await becomes(({ kind }) => kind === "unread")).toMatchObject({ failure: { code: "CONTROL_BUSY" } });
  failure = null;
  write(1);
  feed.take(log.entries[3]!);
  expect(await soundAt(4)).toMatchObject({ signature: "checked" });
});

test("the page holds 2,000 entries at the most, the newest", async () => {
  write(2600);
  feed.begin();
  await soundAt(2600);
  feed.check(true);
  await becomes((now) => now.kind === "sound" && now.from.seq === 0);
  write(1);
  feed.take(log.entries[2600]!);
  await soundAt(2601);
  expect(entries.value.length).toBeLessThanOrEqual(2000);
  expect(entries.value.at(-1)?.seq).toBe(2601);
});

test("a browser without cryptography shows the entries and says that it cannot follow them", async () => {
  write(2);
  const unable = createAuditFeed(
    { open: () => expect.fail("nothing is exported"), audit: async () => ({ entries: log.entries.slice(-1) }) },
    undefined,
  );
  unable.begin();
  await becomes(({ kind }) => kind === "unable");
  unable.take(log.entries[1]!);
  await untilHeld(2);
  expect(chain.value).toEqual({ kind: "unable" });
});
