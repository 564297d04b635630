import type {
  EndedSession,
  Pin,
  PinStore,
  RoutingTable,
  SessionEvent,
  SessionEventDraft,
  TableCache,
} from "@holdover/core";
import type { Disk } from "./disk.ts";
import type { Life } from "./virtual-time.ts";

/** What is told of the pins, in the moment in which it takes effect. */
export interface PinWatch {
  placed(pin: Pin, before: Pin | undefined): void;
  ended(session: EndedSession): void;
  disrupted(pin: Pin): void;
}

/** What the host keeps on its disk: pins, events on their way to control, and the last table. It outlives every host. */
export class HostStore {
  readonly #disk: Disk;
  readonly #watch: PinWatch;
  /** By service and key. */
  readonly held = new Map<string, Pin>();
  #events: SessionEvent[] = [];
  /** The highest that it ever gave. */
  fence = 0;
  #seq = 0;
  #table: RoutingTable | undefined;

  constructor(disk: Disk, watch: PinWatch) {
    this.#disk = disk;
    this.#watch = watch;
  }

  pin(service: string, key: string): Pin | undefined {
    return this.held.get(idOf(service, key));
  }

  pins(): Pin[] {
    return [...this.held.values()];
  }

  eventCount(): number {
    return this.#events.length;
  }

  tables(): TableCache {
    return { save: (table) => void (this.#table = table), load: () => this.#table };
  }

  /** The store as one host sees it. */
  port(life: Life): PinStore {
    const disk = this.#disk;
    return {
      place: (candidate, replaces, atMs) =>
        disk.write(life, () => {
          const id = idOf(candidate.service, candidate.key);
          const before = this.held.get(id);
          if (before && before.fence !== replaces) return before;
          const pin: Pin = { ...candidate, fence: (this.fence += 1) };
          this.held.set(id, pin);
          if (before) this.#tell({ kind: "placed-anew", atMs, pin, from: before.instance });
          this.#watch.placed(pin, before);
          return pin;
        }),
      end: (sessions, atMs) =>
        disk.write(life, () =>
          sessions.filter((session) => {
            const id = idOf(session.service, session.key);
            if (this.held.get(id)?.fence !== session.fence) return false;
            this.held.delete(id);
            this.#tell({ kind: "ended", atMs, session });
            this.#watch.ended(session);
            return true;
          }),
        ),
      disrupted: (pins, atMs) =>
        disk.write(life, () => {
          for (const { pin, connections } of pins) {
            this.#tell({ kind: "disrupted", atMs, pin, connections });
            this.#watch.disrupted(pin);
          }
        }),
      pins: () => disk.read(life, () => this.pins()),
      events: (limit) => disk.read(life, () => this.#events.slice(0, limit)),
      forgetEvents: (upToSeq) =>
        disk.write(life, () => {
          this.#events = this.#events.filter((event) => event.seq > upToSeq);
        }),
      close: async () => {},
    };
  }

  #tell(draft: SessionEventDraft): void {
    this.#events.push({ ...draft, seq: (this.#seq += 1) });
  }
}

export function idOf(service: string, key: string): string {
  return `${service}\n${key}`;
}
