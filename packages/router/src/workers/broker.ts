import {
  asHoldoverError,
  HoldoverError,
  type HostCall,
  type OpenedSession,
  type Placement,
  type SessionRequest,
} from "@holdover/core";
import { z } from "zod";
import type { Sessions } from "../sessions.ts";

/** How long a worker may take to answer an offer, ms: it answers from memory. */
const OFFER_MS = 1500;
/** How long a worker may take to begin, ms: what it computes first holds up its answer. */
const CONFIRM_MS = 3000;
/** Workers that are asked at the most; with what they take, it stays within what a caller waits. */
const ASKED = 3;
/** Sessions that may be on their way to a worker at once. */
const UNDER_WAY = 1000;

const offerAnswer = z.discriminatedUnion("accepted", [
  z.object({ accepted: z.literal(true) }),
  z.object({ accepted: z.literal(false), reason: z.string().max(128) }),
]);

/** A worker that takes jobs. */
export interface JobWorker {
  readonly takesJobs: boolean;
  call(call: HostCall, timeoutMs: number): Promise<unknown>;
  /** Stores the session as living here, and holds it. */
  open(key: string, label: string | null): Promise<{ fence: number; openedAtMs: number }>;
  /** Its link is there. */
  isOpen(): boolean;
  /** Ends a session that it may have begun. */
  giveUp(key: string, fence: number): void;
}

export interface BrokerOptions {
  readonly sessions: Sessions;
  /** The worker of an instance, where it is linked. */
  readonly worker: (instance: string) => JobWorker | undefined;
  readonly newKey: () => string;
  readonly sessionName: (key: string) => string;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/**
 * Opens sessions that no connection begins. Admission is one step: a worker of a release that admits new sessions reserves a
 * slot, then the session is stored as its own, then it is told to begin; whoever asked hears of it after that and never of
 * a session that is refused later. Where storing fails, the slot is given back and nobody has been told anything.
 */
export class Broker {
  readonly #options: BrokerOptions;
  readonly #underWay = new Map<string, Promise<OpenedSession>>();
  #lastJob = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /**
   * @throws HoldoverError WORKER_NONE, LINK_BUSY, HOST_CLOSING, SESSION_LIMIT, STORE_FAILED; LINK_DOWN where a worker was told
   *   to begin and has not answered: asking again with its key tells
   */
  open(request: SessionRequest): Promise<OpenedSession> {
    const key = request.key ?? this.#options.newKey();
    const id = `${request.service}\n${key}`;
    const under = this.#underWay.get(id);
    // Of two that ask for one key the second has what the first gets, and its own payload goes to nobody.
    if (under) return under.then((opened) => ({ ...opened, already: true }));
    if (this.#underWay.size >= UNDER_WAY) {
      return Promise.reject(new HoldoverError("LINK_BUSY", { limit: UNDER_WAY }));
    }
    const opening = this.#open(request, key).finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, opening);
    return opening;
  }

  async #open(request: SessionRequest, key: string): Promise<OpenedSession> {
    const { sessions, worker } = this.#options;
    const { service, label } = request;
    if (sessions.isClosing()) throw new HoldoverError("HOST_CLOSING");
    const asked = new Map<string, string>();
    const eligible = (instance: string): boolean => !asked.has(instance) && worker(instance)?.takesJobs === true;
    while (asked.size < ASKED) {
      // Looked at each time: somebody may have connected to it while a worker was asked.
      const known = sessions.find(service, key);
      if (known?.place && (known.state.name === "open" || !worker(known.place.instance)?.takesJobs)) {
        return { key, ...known.place, already: true };
      }
      // One that lingers goes on where it lives, whether or not there is room for one more.
      const chosen = known?.place ?? placeOf(sessions.choose(service, key, eligible));
      const taker = chosen && worker(chosen.instance);
      if (!chosen || !taker || asked.has(chosen.instance)) break;
      const { release, instance } = chosen;
      this.#lastJob += 1;
      const job = this.#lastJob;
      const refusal = await this.#offer(taker, job, key, request);
      if (refusal !== null) {
        asked.set(instance, refusal);
        continue;
      }
      const begun = await this.#begin(taker, job, key, label);
      if (typeof begun === "number") return { key, release, instance, fence: begun, already: false };
      asked.set(instance, begun);
    }
    throw new HoldoverError("WORKER_NONE", { service, key, reasons: wordsOf(asked) });
  }

  /** Null where the job was taken, else why not. */
  async #offer(taker: JobWorker, job: number, key: string, request: SessionRequest): Promise<string | null> {
    const { agent, tenant, label, payload } = request;
    try {
      const call: HostCall = { name: "offer", job: { id: job, session: { key, label }, agent, tenant, payload } };
      const answer = offerAnswer.parse(await taker.call(call, OFFER_MS));
      return answer.accepted ? null : answer.reason;
    } catch (thrown) {
      this.#options.log("offer.unanswered", { service: request.service, problem: asHoldoverError(thrown).message });
      // It may have taken it all the same, and its answer was lost or late.
      withdraw(taker, job);
      return "no answer";
    }
  }

  /** Stores the session and tells the worker to begin: the fence, or why another worker is to be asked. */
  async #begin(taker: JobWorker, job: number, key: string, label: string | null): Promise<number | string> {
    let opened: { fence: number; openedAtMs: number };
    try {
      opened = await taker.open(key, label);
    } catch (thrown) {
      withdraw(taker, job);
      const error = asHoldoverError(thrown);
      // Its release admits no new session any more since it was asked.
      if (error.code === "NO_INSTANCE") return "not admitted";
      throw error;
    }
    try {
      await taker.call({ name: "confirm", job, ...opened }, CONFIRM_MS);
      return opened.fence;
    } catch (thrown) {
      const error = asHoldoverError(thrown);
      this.#options.log("offer.unconfirmed", { session: this.#options.sessionName(key), problem: error.message });
      // No answer yet: it may have begun, and goes on. Nobody else begins it, and whoever asked has to ask again.
      if (error.code === "LINK_DOWN" && taker.isOpen()) throw error;
      // It has no such job; or it has gone, and hears that the session is its own no more should it come back.
      taker.giveUp(key, opened.fence);
      return "gone";
    }
  }
}

function placeOf(choice: Placement | undefined): { readonly release: string; readonly instance: string } | undefined {
  return choice && { release: choice.release, instance: choice.instance.id };
}

function withdraw(taker: JobWorker, job: number): void {
  void taker.call({ name: "withdraw", job }, OFFER_MS).catch(() => {});
}

function wordsOf(asked: ReadonlyMap<string, string>): string {
  const counts = new Map<string, number>();
  for (const reason of asked.values()) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return Array.from(counts, ([reason, count]) => `${reason} × ${count}`).join(", ") || "none is linked";
}
