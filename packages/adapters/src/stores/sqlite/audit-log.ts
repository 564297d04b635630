import { createHash } from "node:crypto";
import {
  HoldoverError,
  nextEntry,
  problemOf,
  readEntry,
  readSignedHead,
  verifyChain,
  type AuditDraft,
  type AuditEntry,
  type AuditHead,
  type AuditLog,
  type SignedHead,
  type SignedHeads,
  type StoredAuditEntry,
} from "@holdover/core";
import { searchAudit } from "./audit-search.ts";
import { rowLimit, type Database } from "./database.ts";

/** Stores a change and the entries that tell of it as one transaction, and then tells the subscribers. */
export type StoreWithAudit = (because: readonly AuditDraft[], change: () => void) => void;

type Listener = (entries: readonly AuditEntry[]) => void;

export function auditChain(database: Database): { log: AuditLog; store: StoreWithAudit } {
  const { sql } = database;
  const insert = sql.prepare("INSERT INTO audit (seq, body, hash) VALUES (?, ?, ?)");
  const setHead = sql.prepare("UPDATE audit_head SET seq = ?, hash = ?");
  const readHead = sql.prepare("SELECT seq, hash FROM audit_head");
  const after = sql.prepare("SELECT seq, body, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?");
  const last = sql.prepare("SELECT seq, body, hash FROM audit ORDER BY seq DESC LIMIT ?");
  const all = sql.prepare("SELECT seq, body, hash FROM audit ORDER BY seq");
  const subscribers = subscriberList();

  function head(): AuditHead {
    const stored = readHead.get() as { seq: number; hash: string } | undefined;
    // It was made with the file. Without it, a chain that was cut off anywhere would pass for a whole one.
    if (!stored)
      throw new HoldoverError("AUDIT_BROKEN", { seq: 1, problem: "the record of where the chain ends is gone" });
    return { seq: stored.seq, hash: stored.hash };
  }

  /** Within a transaction. */
  function append(drafts: readonly AuditDraft[]): AuditEntry[] {
    if (drafts.length === 0) return [];
    let end = head();
    const entries = drafts.map((draft) => {
      const stored = nextEntry(end, draft, sha256);
      insert.run(stored.seq, stored.body, stored.hash);
      end = stored;
      return readEntry(stored);
    });
    setHead.run(end.seq, end.hash);
    return entries;
  }

  const store: StoreWithAudit = (because, change) => {
    const entries = database.write(() => {
      change();
      return append(because);
    });
    if (entries.length > 0) subscribers.tell(entries);
  };

  return {
    store,
    log: {
      append: async (drafts) => store(drafts, () => {}),
      read: async (afterSeq, limit, filter) =>
        (filter
          ? searchAudit(database, filter, { afterSeq }, limit)
          : database.read(() => after.all(afterSeq, rowLimit(limit)) as unknown as StoredAuditEntry[])
        ).map(entryOf),
      tail: async (limit, filter) =>
        (filter
          ? searchAudit(database, filter, "last", limit)
          : database.read(() => (last.all(rowLimit(limit)) as unknown as StoredAuditEntry[]).reverse())
        ).map(entryOf),
      head: async () => database.read(head),
      verify: async (through) =>
        database.read(() =>
          verifyChain(all.iterate() as Iterable<unknown> as Iterable<StoredAuditEntry>, head(), sha256, through),
        ),
      subscribe: subscribers.add,
    },
  };
}

export function signedHeads(database: Database): SignedHeads {
  const { sql } = database;
  const read = sql.prepare("SELECT body FROM audit_signed_head");
  const write = sql.prepare("INSERT OR REPLACE INTO audit_signed_head (one, body) VALUES (1, ?)");
  return {
    last: async () => {
      const row = database.read(() => read.get()) as { body: string } | undefined;
      return row ? signedHeadIn(row.body) : null;
    },
    store: async (head) => {
      database.write(() => write.run(JSON.stringify(head)));
    },
  };
}

function signedHeadIn(body: string): SignedHead {
  try {
    return readSignedHead(JSON.parse(body));
  } catch (cause) {
    throw new HoldoverError("AUDIT_BROKEN", { seq: 1, problem: "the signed head cannot be read" }, { cause });
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

function entryOf(stored: StoredAuditEntry): AuditEntry {
  try {
    return readEntry(stored);
  } catch (thrown) {
    throw new HoldoverError("AUDIT_BROKEN", { seq: stored.seq, problem: problemOf(thrown) }, { cause: thrown });
  }
}

/**
 * Tells every subscriber of every append, in the order of the chain: entries that a listener appends itself wait until
 * all listeners have been told of those before. A listener that throws is warned of and keeps nobody from being told.
 */
function subscriberList(): {
  readonly add: (listener: Listener) => () => void;
  readonly tell: (entries: readonly AuditEntry[]) => void;
} {
  const subscribed = new Set<{ readonly listener: Listener }>();
  const waiting: (readonly AuditEntry[])[] = [];
  let telling = false;

  function tellOne(listener: Listener, entries: readonly AuditEntry[]): void {
    try {
      listener(entries);
    } catch (thrown) {
      process.emitWarning(`A listener of the audit log threw: ${problemOf(thrown)}`, "HoldoverWarning");
    }
  }

  return {
    add: (listener) => {
      const subscription = { listener };
      subscribed.add(subscription);
      return () => {
        subscribed.delete(subscription);
      };
    },
    tell: (entries) => {
      waiting.push(entries);
      if (telling) return;
      telling = true;
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        for (const { listener } of subscribed) tellOne(listener, next);
      }
      telling = false;
    },
  };
}
