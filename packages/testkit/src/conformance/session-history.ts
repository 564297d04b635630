import type {
  AuditDraft,
  AuditLog,
  EndedSession,
  EndReason,
  Pin,
  SessionEvent,
  SessionHistory,
  SessionTotals,
} from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

interface Stores {
  readonly history: SessionHistory;
  /** The log that the history's entries go to. */
  readonly audit: AuditLog;
}

/** A fresh, empty history. */
export interface OpenedSessionHistory extends Stores {
  /** The history as control finds it that starts again. The one before is closed. */
  reopen(): Promise<Stores>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What every {@link SessionHistory} keeps to. */
export function sessionHistoryConformance(name: string, open: () => Promise<OpenedSessionHistory>): void {
  describe(`${name} as a SessionHistory`, () => {
    let opened: OpenedSessionHistory;
    let history: SessionHistory;
    let audit: AuditLog;
    beforeEach(async () => {
      opened = await open();
      ({ history, audit } = opened);
    });
    afterEach(() => opened.close());

    const audited = async (): Promise<unknown[]> => (await audit.read(0, 100)).map((entry) => entry.session);
    const keys = async (filter: Parameters<SessionHistory["ended"]>[0], limit = 100): Promise<string[]> =>
      (await history.ended(filter, limit)).map((session) => session.key);

    it("is empty at first, and remembers 0 for a host that it does not know", async () => {
      expect(await history.ended({}, 10)).toEqual([]);
      expect(await history.totals()).toEqual([]);
      expect(await history.record("host-a", [], noAudit)).toBe(0);
    });

    it("stores ended sessions as they were, and remembers the last number of the batch", async () => {
      const first = session("a", { endedAtMs: 10, connectionsClosed: 3, reason: "cut" });
      const second = session("b", { endedAtMs: 20, label: null });
      expect(await history.record("host-a", [ended(1, first), ended(4, second)], noAudit)).toBe(4);
      expect(await history.ended({}, 10)).toEqual([second, first]);
      expect(await history.record("host-a", [], noAudit)).toBe(4);
    });

    it("MUST pass over events at or below the remembered number, with their entries", async () => {
      const batch = [ended(1, session("a")), ended(2, session("b"))];
      await history.record("host-a", batch, oneEntry);
      expect(await history.record("host-a", batch, oneEntry)).toBe(2);
      expect(await history.record("host-a", [...batch, ended(3, session("c"))], oneEntry)).toBe(3);
      expect((await keys({})).sort()).toEqual(["a", "b", "c"]);
      expect(await audited()).toEqual(["a", "b", "c"]);
      expect(await history.totals()).toEqual([totals({ ended: { hangup: 3 } })]);
    });

    it("remembers the numbers of each host apart", async () => {
      await history.record("host-a", [ended(5, session("a"))], noAudit);
      expect(await history.record("host-b", [ended(1, session("b"))], noAudit)).toBe(1);
      expect(await history.record("host-a", [ended(5, session("again"))], noAudit)).toBe(5);
      expect((await keys({})).sort()).toEqual(["a", "b"]);
    });

    it("stores the entries of every event in the order of the events", async () => {
      const events = [disrupted(1, pin("a")), placedAnew(2, pin("a")), ended(3, session("b"))];
      await history.record("host-a", events, (event) => {
        const draft = oneEntry(event)[0];
        return event.kind === "ended" || !draft ? [] : [draft, { ...draft, session: `${draft.session}-more` }];
      });
      expect(await audited()).toEqual(["a", "a-more", "a", "a-more"]);
      expect((await audit.verify()).seq).toBe(4);
    });

    it("has stored sessions, totals, numbers and entries when it resolves", async () => {
      await history.record("host-a", [ended(1, session("a")), disrupted(2, pin("b"))], oneEntry);
      ({ history, audit } = await opened.reopen());
      expect(await keys({})).toEqual(["a"]);
      expect(await history.totals()).toEqual([totals({ ended: { hangup: 1 }, disrupted: 1 })]);
      expect(await history.record("host-a", [ended(2, session("late"))], oneEntry)).toBe(2);
      expect(await audited()).toEqual(["a", "b"]);
    });

    it("stores nothing of a batch that cannot be written, and takes it when it comes again", async () => {
      const batch = [ended(1, session("a")), disrupted(2, pin("b"))];
      await opened.refuseWrites(true);
      await expect(history.record("host-a", batch, oneEntry)).rejects.toMatchObject({ code: "STORE_FAILED" });
      await opened.refuseWrites(false);
      expect(await keys({})).toEqual([]);
      expect(await history.totals()).toEqual([]);
      expect(await audited()).toEqual([]);
      expect(await history.record("host-a", batch, oneEntry)).toBe(2);
      expect(await audited()).toEqual(["a", "b"]);
    });

    it("stores nothing of a batch whose entries cannot be made", async () => {
      const fault = new Error("no entry for this");
      const batch = [ended(1, session("a")), ended(2, session("b"))];
      const record = history.record("host-a", batch, (event) => {
        if (event.seq === 2) throw fault;
        return oneEntry(event);
      });
      await expect(record).rejects.toBe(fault);
      expect(await keys({})).toEqual([]);
      expect(await audited()).toEqual([]);
      expect(await history.record("host-a", batch, oneEntry)).toBe(2);
    });

    it("lists ends newest first by when they ended, whatever order they came in, at most so many", async () => {
      const ends = [30, 10, 40, 20].map((endedAtMs, index) =>
        ended(index + 1, session(`at-${endedAtMs}`, { endedAtMs })),
      );
      await history.record("host-a", ends, noAudit);
      expect(await keys({})).toEqual(["at-40", "at-30", "at-20", "at-10"]);
      expect(await keys({}, 2)).toEqual(["at-40", "at-30"]);
      expect(await keys({}, 0)).toEqual([]);
    });

    it("lists ends since a time, that time included", async () => {
      const ends = [10, 20, 30].map((endedAtMs, index) => ended(index + 1, session(`at-${endedAtMs}`, { endedAtMs })));
      await history.record("host-a", ends, noAudit);
      expect(await keys({ sinceMs: 20 })).toEqual(["at-30", "at-20"]);
      expect(await keys({ sinceMs: 31 })).toEqual([]);
    });

    it("lists ends of a service, of a release, and of both", async () => {
      const places = [
        ["chat", "v1"],
        ["chat", "v2"],
        ["game", "v1"],
      ] as const;
      const ends = places.map(([service, release], index) =>
        ended(index + 1, session(`${service}-${release}`, { service, release, endedAtMs: index })),
      );
      await history.record("host-a", ends, noAudit);
      expect(await keys({ service: "chat" })).toEqual(["chat-v2", "chat-v1"]);
      expect(await keys({ release: "v1" })).toEqual(["game-v1", "chat-v1"]);
      expect(await keys({ service: "chat", release: "v1" })).toEqual(["chat-v1"]);
      expect(await keys({ service: "chat", sinceMs: 1 })).toEqual(["chat-v2"]);
      expect(await keys({ service: "game", release: "v2" })).toEqual([]);
    });

    it("lists the ends of a key, of one service or of any", async () => {
      const ends = [
        session("a", { endedAtMs: 1 }),
        session("A", { endedAtMs: 2 }),
        session("a", { endedAtMs: 3, release: "v2" }),
        session("a", { endedAtMs: 4, service: "game" }),
      ];
      await history.record(
        "host-a",
        ends.map((one, index) => ended(index + 1, one)),
        noAudit,
      );
      const times = async (filter: Parameters<SessionHistory["ended"]>[0], limit = 10): Promise<number[]> =>
        (await history.ended(filter, limit)).map(({ endedAtMs }) => endedAtMs);
      expect(await times({ key: "a" })).toEqual([4, 3, 1]);
      expect(await times({ service: "chat", key: "a" })).toEqual([3, 1]);
      expect(await times({ service: "chat", release: "v2", key: "a" })).toEqual([3]);
      expect(await times({ key: "a", sinceMs: 3 }, 1)).toEqual([4]);
      expect(await times({ key: "nobody" })).toEqual([]);
    });

    it("has the lengths of a service's sessions that ended within a time, its end left out", async () => {
      const ends = [
        session("a", { openedAtMs: 5, endedAtMs: 9 }),
        session("b", { openedAtMs: 5, endedAtMs: 10, reason: "cut" }),
        session("c", { openedAtMs: 5, endedAtMs: 12, reason: "expired" }),
        session("d", { openedAtMs: 5, endedAtMs: 20 }),
        session("e", { openedAtMs: 5, endedAtMs: 11, service: "game" }),
      ];
      await history.record(
        "host-a",
        ends.map((one, index) => ended(index + 1, one)),
        noAudit,
      );
      const found = await history.lengths("chat", 10, 20, 100);
      expect({ ...found, lengthMs: found.lengthMs.toSorted() }).toEqual({
        ends: 2,
        lengthMs: Float64Array.of(5, 7),
        forced: found.lengthMs[0] === 5 ? Uint8Array.of(1, 0) : Uint8Array.of(0, 1),
      });
      expect(await history.lengths("nobody", 0, 100, 10)).toEqual({
        ends: 0,
        lengthMs: new Float64Array(),
        forced: new Uint8Array(),
      });
    });

    it("has an even sample of many lengths, whatever alternates in the order in which they came", async () => {
      const many = Array.from({ length: 6400 }, (_, index) =>
        session(`s${index}`, {
          service: index % 2 === 0 ? "chat" : "game",
          openedAtMs: 0,
          endedAtMs: index,
          reason: index % 8 === 0 ? "cut" : "hangup",
        }),
      );
      await history.record(
        "host-a",
        many.map((one, index) => ended(index + 1, one)),
        noAudit,
      );
      const { ends, lengthMs, forced } = await history.lengths("chat", 0, 6400, 600);
      expect(ends).toBe(3200);
      expect(lengthMs.length).toBeGreaterThanOrEqual(300);
      expect(lengthMs.length).toBeLessThanOrEqual(600);
      // As many of each eighth of the time, and of those that were cut, as there would be by drawing them: within five of its
      // standard deviations.
      const share = lengthMs.length / ends;
      const within = (drawn: number, many: number) =>
        expect(Math.abs(drawn - many * share)).toBeLessThan(5 * Math.sqrt(many * share));
      for (let eighth = 0; eighth < 8; eighth++) {
        within(lengthMs.filter((ms) => Math.floor(ms / 800) === eighth).length, 400);
      }
      within(forced.filter((one) => one === 1).length, 800);
    });

    it("counts every end under its reason, and every disruption, by service and release", async () => {
      const reasons: EndReason[] = ["hangup", "expired", "moved", "cut", "lost", "cut"];
      await history.record(
        "host-a",
        reasons.map((reason, index) => ended(index + 1, session(`s${index}`, { reason }))),
        noAudit,
      );
      await history.record(
        "host-b",
        [
          disrupted(1, pin("a")),
          placedAnew(2, pin("a")),
          disrupted(3, pin("a", { release: "v2" })),
          ended(4, session("b", { service: "game" })),
        ],
        noAudit,
      );
      expect((await history.totals()).toSorted(byPlace)).toEqual([
        totals({ ended: { hangup: 1, expired: 1, moved: 1, cut: 2, lost: 1 }, disrupted: 1 }),
        totals({ release: "v2", disrupted: 1 }),
        totals({ service: "game", ended: { hangup: 1 } }),
      ]);
    });
  });
}

function pin(key: string, differs: Partial<Pin> = {}): Pin {
  const place = { release: "v1", instance: "chat-v1-1", fence: 3 };
  return { service: "chat", key, ...place, openedAtMs: 5, label: "support", ...differs };
}

function session(key: string, differs: Partial<EndedSession> = {}): EndedSession {
  return { ...pin(key), reason: "hangup", endedAtMs: 9, connectionsClosed: 0, ...differs };
}

function ended(seq: number, session: EndedSession): SessionEvent {
  return { seq, atMs: 11, kind: "ended", session };
}

function disrupted(seq: number, pin: Pin): SessionEvent {
  return { seq, atMs: 11, kind: "disrupted", pin, connections: 2 };
}

function placedAnew(seq: number, pin: Pin): SessionEvent {
  return { seq, atMs: 11, kind: "placed-anew", pin, from: "chat-v1-0" };
}

function noAudit(): readonly AuditDraft[] {
  return [];
}

function oneEntry(event: SessionEvent): readonly AuditDraft[] {
  const { key } = event.kind === "ended" ? event.session : event.pin;
  return [{ atMs: event.atMs, kind: `session.${event.kind}`, actor: "host", reason: "a test wanted it", session: key }];
}

function totals(differs: {
  readonly service?: string;
  readonly release?: string;
  readonly ended?: Partial<SessionTotals["ended"]>;
  readonly disrupted?: number;
}): SessionTotals {
  const { service = "chat", release = "v1", ended = {}, disrupted = 0 } = differs;
  return { service, release, ended: { hangup: 0, expired: 0, moved: 0, cut: 0, lost: 0, ...ended }, disrupted };
}

function byPlace(a: SessionTotals, b: SessionTotals): number {
  return `${a.service}/${a.release}` < `${b.service}/${b.release}` ? -1 : 1;
}
