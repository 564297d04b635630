import type { EndedSession, Pin, PinCandidate, PinStore, SessionEvent, SessionEventDraft } from "@holdover/core";

/** A pin store without a disk. It passes the same conformance suite as the real ones, but for outliving its process. */
export class MemoryPinStore implements PinStore {
  readonly #pins = new Map<string, Pin>();
  #events: SessionEvent[] = [];
  #fence = 0;
  #seq = 0;

  /** Replaced by a test that wants to hold up or fail what comes next. */
  before: () => Promise<void> = async () => {};

  async place(candidate: PinCandidate, replaces: number | null, atMs: number): Promise<Pin> {
    await this.before();
    const id = idOf(candidate);
    const known = this.#pins.get(id);
    if (known && known.fence !== replaces) return known;
    this.#fence += 1;
    const pin: Pin = { ...candidate, fence: this.#fence };
    this.#pins.set(id, pin);
    if (known) this.#add({ kind: "placed-anew", atMs, pin, from: known.instance });
    return pin;
  }

  async end(sessions: readonly EndedSession[], atMs: number): Promise<EndedSession[]> {
    await this.before();
    return sessions.filter((session) => {
      if (this.#pins.get(idOf(session))?.fence !== session.fence) return false;
      this.#pins.delete(idOf(session));
      this.#add({ kind: "ended", atMs, session });
      return true;
    });
  }

  async disrupted(pins: readonly { readonly pin: Pin; readonly connections: number }[], atMs: number): Promise<void> {
    await this.before();
    for (const { pin, connections } of pins) this.#add({ kind: "disrupted", atMs, pin, connections });
  }

  async pins(): Promise<Pin[]> {
    return [...this.#pins.values()];
  }

  async events(limit: number): Promise<SessionEvent[]> {
    return this.#events.slice(0, limit);
  }

  async forgetEvents(upToSeq: number): Promise<void> {
    await this.before();
    this.#events = this.#events.filter((event) => event.seq > upToSeq);
  }

  async close(): Promise<void> {}

  #add(draft: SessionEventDraft): void {
    this.#seq += 1;
    this.#events.push({ ...draft, seq: this.#seq });
  }
}

function idOf(session: { service: string; key: string }): string {
  return `${session.service}\n${session.key}`;
}
