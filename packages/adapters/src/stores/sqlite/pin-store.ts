import type { EndedSession, Pin, PinCandidate, PinStore } from "@holdover/core";
import type { CheckpointEnds } from "./checkpoint-ends.ts";
import { onlyValue, type Database } from "./database.ts";
import type { EventOutbox } from "./event-outbox.ts";

/**
 * How many fences are taken from the stored counter at a time. The counter is then written once in so many placements,
 * not in each, which makes a placement a third cheaper; a crash leaves a gap of at most this size, never a repetition.
 */
const FENCES_AT_A_TIME = 1000;

/** Rows that are read at once when all pins are: fewer cost time, more cost memory. */
const PAGE_ROWS = 5000;

type PlaceRow = Pick<Pin, "release" | "instance" | "fence" | "openedAtMs" | "label">;
type PinRow = [
  service: string,
  key: string,
  release: string,
  instance: string,
  fence: number,
  openedAtMs: number,
  label: string | null,
];

/**
 * Nothing of the pins is held in memory: the router's registry is what answers from memory. A session's checkpoint goes in
 * one step with its pin.
 */
export function pinStore(database: Database, outbox: EventOutbox, checkpoints: CheckpointEnds): PinStore {
  const { sql } = database;
  const find = sql.prepare(
    "SELECT release, instance, fence, opened_at_ms AS openedAtMs, label FROM pins WHERE service = ? AND key = ?",
  );
  const upsert = sql.prepare(
    `INSERT OR REPLACE INTO pins (service, key, release, instance, fence, opened_at_ms, label)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const remove = sql.prepare("DELETE FROM pins WHERE service = ? AND key = ? AND fence = ?");
  const reserveFences = sql.prepare("UPDATE host SET fences_reserved = ?");
  const page = sql.prepare(
    `SELECT service, key, release, instance, fence, opened_at_ms, label FROM pins
     WHERE (service, key) > (?, ?) ORDER BY service, key LIMIT ${PAGE_ROWS}`,
  );
  page.setReturnArrays(true);

  // Fences up to here were reserved by an earlier life of this file, and some of them were given.
  const readReserved = sql.prepare("SELECT fences_reserved FROM host");
  let reserved = Number(onlyValue(database, readReserved));
  let lastFence = reserved;

  function place(candidate: PinCandidate, replaces: number | null, atMs: number): Pin {
    const { service, key, release, instance, openedAtMs, label } = candidate;
    const found = database.read(() => find.get(service, key)) as PlaceRow | undefined;
    if (found && found.fence !== replaces) {
      return {
        service,
        key,
        release: found.release,
        instance: found.instance,
        fence: found.fence,
        openedAtMs: found.openedAtMs,
        label: found.label,
      };
    }
    const fence = lastFence + 1;
    const reserve = fence > reserved ? reserved + FENCES_AT_A_TIME : reserved;
    const pin: Pin = { service, key, release, instance, fence, openedAtMs, label };
    const lastSeq = database.write(() => {
      if (reserve !== reserved) reserveFences.run(reserve);
      upsert.run(service, key, release, instance, fence, openedAtMs, label);
      return outbox.add(found ? [{ atMs, kind: "placed-anew", pin, from: found.instance }] : []);
    });
    lastFence = fence;
    reserved = reserve;
    outbox.stored(lastSeq);
    return pin;
  }

  function end(sessions: readonly EndedSession[], atMs: number): EndedSession[] {
    if (sessions.length === 0) return [];
    const done = database.write(() => {
      const ended = sessions.filter(({ service, key, fence }) => Number(remove.run(service, key, fence).changes) > 0);
      for (const session of ended) checkpoints.end(session, atMs);
      return { ended, lastSeq: outbox.add(ended.map((session) => ({ atMs, kind: "ended", session }))) };
    });
    outbox.stored(done.lastSeq);
    return done.ended;
  }

  function pins(): Pin[] {
    // Services, releases, instances and labels are few: one string of each instead of one a pin is most of a pin's memory.
    const strings = new Map<string, string>();
    const shared = (text: string): string => {
      const known = strings.get(text);
      if (known === undefined) strings.set(text, text);
      return known ?? text;
    };
    const all: Pin[] = [];
    let after: readonly [string, string] = ["", ""];
    for (;;) {
      const rows = page.all(...after) as unknown as PinRow[];
      for (const [service, key, release, instance, fence, openedAtMs, label] of rows) {
        all.push({
          service: shared(service),
          key,
          release: shared(release),
          instance: shared(instance),
          fence,
          openedAtMs,
          label: label === null ? null : shared(label),
        });
      }
      const last = rows.at(-1);
      if (!last || rows.length < PAGE_ROWS) return all;
      after = [last[0], last[1]];
    }
  }

  return {
    place: async (candidate, replaces, atMs) => place(candidate, replaces, atMs),
    end: async (sessions, atMs) => end(sessions, atMs),
    disrupted: async (pins, atMs) => {
      if (pins.length === 0) return;
      outbox.stored(
        database.write(() =>
          outbox.add(pins.map(({ pin, connections }) => ({ atMs, kind: "disrupted", pin, connections }))),
        ),
      );
    },
    pins: async () => database.read(pins),
    events: async (limit) => outbox.oldest(limit),
    forgetEvents: async (upToSeq) => outbox.forget(upToSeq),
    close: async () => database.close(),
  };
}
