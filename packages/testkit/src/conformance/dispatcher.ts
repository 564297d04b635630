import type { Dispatcher, FencedSession, JobDesk, JobEnd, JobPlace, OfferAnswer } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JobAsked, JobTold } from "../memory-dispatcher.ts";

/** A dispatcher of one worker, and the other side of it. */
export interface OpenedDispatcher {
  readonly dispatcher: Dispatcher;
  /** Somebody asks for a session; there is no other worker. */
  ask(job: JobAsked): Promise<JobTold>;
  /** Breaks the link between the two; it comes back by itself. Resolves when the dispatcher has seen it break. */
  breakLink(): Promise<void>;
  /** What the release of the worker admits from now on. */
  admit(admits: "new" | "existing" | "none"): Promise<void>;
  /** How the session ended, as the other side has it; null while it lives. */
  endOf(session: FencedSession): Promise<string | null>;
  close(): Promise<void>;
}

/** What every {@link Dispatcher} keeps to. */
export function dispatcherConformance(name: string, open: () => Promise<OpenedDispatcher>): void {
  describe(`${name} as a Dispatcher`, () => {
    let opened: OpenedDispatcher;
    let desk: RecordingDesk;
    beforeEach(async () => {
      opened = await open();
      desk = new RecordingDesk();
    });
    afterEach(async () => {
      await opened.dispatcher.close();
      await opened.close();
    });

    it("offers nothing before it was opened", async () => {
      expect((await opened.ask({ key: "early" })).taken).toBe(false);
      await opened.dispatcher.open(desk);
      expect(desk.offered).toEqual([]);
    });

    it("hands a job over whole, and confirms it under the fence that whoever asked is told", async () => {
      await opened.dispatcher.open(desk);
      const job = { key: "räum 房间", agent: "echo", tenant: "acme", payload: { list: [1, null, "é"] } };
      const told = await opened.ask(job);
      expect(told).toMatchObject({ taken: true, session: { key: job.key } });
      const { agent, tenant, payload } = job;
      expect(desk.offered).toMatchObject([{ session: { key: job.key }, agent, tenant, payload }]);
      expect(desk.confirmed.map(({ key, fence }) => ({ key, fence }))).toEqual([sessionOf(told)]);
      expect(desk.withdrawn).toEqual([]);
    });

    it("tells whoever asked that nobody took it, and stores nothing then", async () => {
      await opened.dispatcher.open(desk);
      desk.answer = () => ({ accepted: false, reason: "full" });
      const told = await opened.ask({ key: "a" });
      expect(told).toMatchObject({ taken: false, why: expect.stringContaining("full") });
      desk.answer = () => ({ accepted: true });
      expect((await opened.ask({ key: "a" })).taken).toBe(true);
      expect([desk.offered.length, desk.confirmed.length, desk.withdrawn]).toEqual([2, 1, []]);
    });

    it("does not offer a session that runs, and tells where it does", async () => {
      await opened.dispatcher.open(desk);
      const first = await opened.ask({ key: "a" });
      expect(sessionOf(await opened.ask({ key: "a" }))).toEqual(sessionOf(first));
      expect(desk.offered).toHaveLength(1);
    });

    it("confirms or withdraws each of many that are asked for at once, and tells all the same as it does", async () => {
      await opened.dispatcher.open(desk);
      desk.answer = ({ id }) => (id % 3 === 0 ? { accepted: false, reason: "full" } : { accepted: true });
      const keys = Array.from({ length: 60 }, (_, index) => `call-${index}`);
      const told = await Promise.all(keys.map((key) => opened.ask({ key })));
      const taken = told.flatMap((one) => (one.taken ? [one.session.key] : []));
      expect(taken.length).toBeGreaterThan(10);
      expect(desk.confirmed.map(({ key }) => key).toSorted()).toEqual(taken.toSorted());
      expect(new Set(desk.confirmed.map(({ fence }) => fence)).size).toBe(taken.length);
      expect(desk.open()).toEqual([]);
      expect(desk.faults).toEqual([]);
    });

    it("tells the end of a job; the key may be used again then, under a higher fence", async () => {
      await opened.dispatcher.open(desk);
      const ends: JobEnd[] = ["completed", "failed", "cut"];
      let last = 0;
      for (const end of ends) {
        const session = sessionOf(await opened.ask({ key: "again" }));
        expect(session.fence).toBeGreaterThan(last);
        last = session.fence;
        expect(await opened.endOf(session)).toBeNull();
        await opened.dispatcher.finished(session, end);
        await vi.waitFor(async () => expect(await opened.endOf(session)).not.toBeNull());
      }
      expect(desk.offered).toHaveLength(3);
    });

    it("offers nothing once draining has resolved, and offers again when it is called off", async () => {
      await opened.dispatcher.open(desk);
      await opened.ask({ key: "runs" });
      await opened.dispatcher.draining(true);
      expect((await opened.ask({ key: "a" })).taken).toBe(false);
      expect(desk.offered).toHaveLength(1);
      await opened.dispatcher.draining(false);
      expect((await opened.ask({ key: "a" })).taken).toBe(true);
      const calls = [true, false, true, false].map((isDraining) => opened.dispatcher.draining(isDraining));
      await Promise.all(calls);
      expect((await opened.ask({ key: "b" })).taken).toBe(true);
    });

    it("takes jobs again after a drain without a session was called off, or says that it was given up", async () => {
      await opened.dispatcher.open(desk);
      await opened.dispatcher.draining(true);
      const isBack = await opened.dispatcher.draining(false).then(
        () => true,
        () => false,
      );
      expect((await opened.ask({ key: "a" })).taken).toBe(isBack);
      expect(desk.confirmed).toHaveLength(isBack ? 1 : 0);
    });

    it("confirms or withdraws what was accepted when the link broke in that moment, whatever the asker is told", async () => {
      await opened.dispatcher.open(desk);
      let broken: Promise<void> | undefined;
      desk.answer = () => {
        // After the answer has been given, and before it can be known to have arrived.
        broken ??= Promise.resolve().then(() => opened.breakLink());
        return { accepted: true };
      };
      const told = await opened.ask({ key: "a" }).catch(() => null);
      await broken;
      await vi.waitFor(() => expect(desk.open()).toEqual([]), { timeout: 10_000 });
      expect(desk.faults).toEqual([]);
      expect(told?.taken === true && desk.confirmed.length === 0).toBe(false);
    });

    it("goes on after the link broke: what runs runs on, and new jobs come", async () => {
      await opened.dispatcher.open(desk);
      const before = sessionOf(await opened.ask({ key: "before" }));
      await opened.breakLink();
      await vi.waitFor(async () => expect((await opened.ask({ key: "after" })).taken).toBe(true), { timeout: 10_000 });
      expect(await opened.endOf(before)).toBeNull();
      expect(desk.endings).toEqual([]);
      await opened.dispatcher.finished(before, "completed");
      await vi.waitFor(async () => expect(await opened.endOf(before)).not.toBeNull());
    });

    it("drains over a broken link too", async () => {
      await opened.dispatcher.open(desk);
      const draining = opened.dispatcher.draining(true);
      await opened.breakLink();
      await draining;
      expect((await opened.ask({ key: "a" })).taken).toBe(false);
      expect(desk.confirmed).toEqual([]);
    });

    it("tells what the release admits, at once and on every change", async () => {
      await opened.admit("new");
      await opened.dispatcher.open(desk);
      const seen: string[] = [];
      const stop = opened.dispatcher.onAdmission((admits) => seen.push(admits));
      await vi.waitFor(() => expect(seen.at(-1)).toBe("new"));
      await opened.admit("existing");
      await vi.waitFor(() => expect(seen.at(-1)).toBe("existing"));
      await opened.admit("new");
      await vi.waitFor(() => expect(seen.at(-1)).toBe("new"));
      stop();
      await opened.admit("none");
      expect(seen.at(-1)).toBe("new");
    });

    it("calls nothing after it was closed, but withdraws what it had not confirmed", async () => {
      await opened.dispatcher.open(desk);
      await opened.ask({ key: "a" });
      await opened.dispatcher.close();
      expect((await opened.ask({ key: "b" }).catch(() => ({ taken: false }))).taken).toBe(false);
      expect([desk.offered.length, desk.open()]).toEqual([1, []]);
      await opened.dispatcher.close();
    });
  });
}

function sessionOf(told: JobTold): FencedSession {
  if (!told.taken) throw new Error(`nobody took it: ${told.why}`);
  return { key: told.session.key, fence: told.session.fence };
}

/** A desk that takes what it is told to, and watches over the order of the calls. */
class RecordingDesk implements JobDesk {
  readonly offered: Parameters<JobDesk["offer"]>[0][] = [];
  readonly confirmed: { readonly key: string; readonly fence: number }[] = [];
  readonly withdrawn: number[] = [];
  readonly endings: unknown[] = [];
  /** Calls that a dispatcher must not make. */
  readonly faults: string[] = [];
  answer: (offer: Parameters<JobDesk["offer"]>[0]) => OfferAnswer = () => ({ accepted: true });
  /** Accepted, and neither confirmed nor withdrawn. */
  readonly #accepted = new Map<number, string>();

  open(): number[] {
    return [...this.#accepted.keys()];
  }

  offer(offer: Parameters<JobDesk["offer"]>[0]): OfferAnswer {
    this.offered.push(offer);
    const answer = this.answer(offer);
    if (answer.accepted) this.#accepted.set(offer.id, offer.session.key);
    return answer;
  }

  confirm(id: number, { fence }: JobPlace): boolean {
    const key = this.#accepted.get(id);
    if (key === undefined) {
      this.faults.push(`confirmed ${id}, which was not accepted or is settled`);
      return false;
    }
    this.#accepted.delete(id);
    this.confirmed.push({ key, fence });
    return true;
  }

  withdraw(id: number): void {
    if (!this.#accepted.delete(id)) this.faults.push(`withdrew ${id}, which was not accepted or is settled`);
    this.withdrawn.push(id);
  }

  ending(...ended: Parameters<JobDesk["ending"]>): void {
    this.endings.push(ended);
  }
}
