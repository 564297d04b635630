import type { AuditEntryView } from "@holdover/control/api";
import { signal } from "@preact/signals";
import type { HoldoverApi } from "./api.ts";
import { asFailure, type ApiFailure } from "./api-call.ts";
import { ChainBroken, followExport, linesOf, linkEntry, type ChainHead, type SignedHead } from "./audit-chain.ts";

/** All entries from the one after `from` to `head` follow from each other; the signature vouches for them up to `signed`. */
export interface SoundChain {
  readonly kind: "sound";
  readonly from: ChainHead;
  readonly head: ChainHead;
  readonly signed: SignedHead;
  readonly signature: "checked" | "unsupported";
}

/** What following the chain of audit entries has shown so far. */
export type Chain =
  /** @param seq how far it has come */
  | { readonly kind: "reading"; readonly seq: number }
  | SoundChain
  | { readonly kind: "broken"; readonly seq: number; readonly problem: string }
  | { readonly kind: "unread"; readonly failure: ApiFailure }
  /** This browser offers no cryptography here. */
  | { readonly kind: "unable" };

/** Entries that are read at first, and that are followed. */
const READ_FIRST = 500;
/** Entries that the page holds at once, at the most; the oldest go first. */
const HELD = 2000;
/** Every so many entries it is told how far the reading has come. */
const TOLD_EVERY = 500;

/** The entries that the page holds, oldest first. */
export const entries = signal<readonly AuditEntryView[]>([]);
export const chain = signal<Chain>({ kind: "reading", seq: 0 });

export interface AuditFeed {
  /** Reads the last entries anew and follows them. */
  begin(): void;
  /** Forgets all that was read. */
  end(): void;
  /** The next entry, as it was told live. */
  take(entry: AuditEntryView): void;
  /** Follows the chain again up to now, from its first entry or from where it was signed last. */
  check(whole: boolean): void;
}

/** @param crypto undefined: the browser has none, as on a page that is not served securely */
export function createAuditFeed(api: Pick<HoldoverApi, "open" | "audit">, crypto: SubtleCrypto | undefined): AuditFeed {
  /** One thing after the other: an entry can only be linked once the one before is. */
  let work: Promise<void> = Promise.resolve();
  let era = 0;
  /** As far as the chain is known to hold; null: not read yet. */
  let sound: SoundChain | null = null;

  function enqueue(job: () => Promise<void>): void {
    const own = era;
    work = work.then(async () => {
      if (own !== era) return;
      try {
        await job();
      } catch (error) {
        if (own !== era) return;
        chain.value =
          error instanceof ChainBroken
            ? { kind: "broken", seq: error.seq, problem: error.message }
            : { kind: "unread", failure: asFailure(error) };
      }
    });
  }

  function hold(added: readonly AuditEntryView[]): void {
    if (added.length === 0) return;
    const last = entries.value.at(-1)?.seq ?? 0;
    entries.value = [...entries.value, ...added.filter(({ seq }) => seq > last)].slice(-HELD);
  }

  /** Follows what is after an entry, and through what is known. @throws ChainBroken, ApiFailure */
  async function follow(afterSeq: number): Promise<void> {
    if (!crypto) {
      chain.value = { kind: "unable" };
      return;
    }
    const response = await api.open({ path: "v1/audit/export", query: { after: afterSeq } });
    if (!response.body) return;
    const known = sound?.head ?? null;
    let read: AuditEntryView[] = [];
    let count = 0;
    const lines = linesOf(response.body);
    // What was read before a break is shown all the same.
    const followed = await followExport(crypto, lines, (entry) => {
      if (known && entry.seq === known.seq && entry.hash !== known.hash) {
        throw new ChainBroken(entry.seq, `entry ${entry.seq} is another one than was told before`);
      }
      read.push(entry);
      count += 1;
      if (read.length > HELD * 2) read = read.slice(-HELD);
      if (count % TOLD_EVERY === 0) chain.value = { kind: "reading", seq: entry.seq };
    }).finally(() => hold(read));
    if (known && known.seq > followed.head.seq) {
      throw new ChainBroken(
        followed.head.seq + 1,
        `the log went up to entry ${known.seq} and ends at ${followed.head.seq}`,
      );
    }
    if (known && known.seq === followed.from.seq && known.hash !== followed.from.hash) {
      throw new ChainBroken(known.seq, `entry ${known.seq} is another one than was told before`);
    }
    const { head: signed, signature } = followed;
    const from = sound && sound.from.seq < followed.from.seq ? sound.from : followed.from;
    sound = { kind: "sound", from, head: { seq: signed.seq, hash: signed.hash }, signed, signature };
    chain.value = sound;
  }

  async function link(entry: AuditEntryView): Promise<void> {
    if (chain.value.kind === "unread") await follow(sound?.head.seq ?? Math.max(0, entry.seq - READ_FIRST));
    // A chain that does not hold is not mended by what is told after it.
    if (!crypto || !sound || chain.value.kind === "broken") {
      hold([entry]);
      return;
    }
    if (entry.seq <= sound.head.seq) return;
    // What was told while nobody listened is fetched: a gap here is not one in the log.
    if (entry.seq > sound.head.seq + 1) {
      await follow(sound.head.seq);
      return;
    }
    hold([entry]);
    sound = { ...sound, head: await linkEntry(crypto, sound.head, entry) };
    chain.value = sound;
  }

  function forget(): void {
    era += 1;
    sound = null;
    entries.value = [];
    chain.value = { kind: "reading", seq: 0 };
  }

  return {
    end: forget,
    begin() {
      forget();
      enqueue(async () => {
        const tail = await api.audit({ tail: 1 });
        await follow(Math.max(0, (tail.entries.at(-1)?.seq ?? 0) - READ_FIRST));
      });
    },
    take: (entry) => enqueue(() => link(entry)),
    check(whole) {
      enqueue(async () => {
        const after = whole || !sound ? 0 : sound.signed.seq;
        chain.value = { kind: "reading", seq: after };
        await follow(after);
      });
    },
  };
}
