import { createHash } from "node:crypto";
import {
  CHAIN_START,
  isSought,
  nextEntry,
  readEntry,
  verifyChain,
  type AuditDraft,
  type AuditEntry,
  type AuditFilter,
  type AuditHead,
  type AuditLog,
  type EndedSession,
  type ForecastStore,
  type Instance,
  type ReleaseStore,
  type ServiceRecord,
  type SessionHistory,
  type SessionTimeline,
  type StoredAuditEntry,
} from "@holdover/core";
import type { Disk } from "./disk.ts";
import type { Life } from "./virtual-time.ts";

/** What is told of a change, in the moment in which it takes effect. */
export interface RecordsWatch {
  services(before: readonly ServiceRecord[], next: readonly ServiceRecord[], because: readonly AuditDraft[]): void;
  instances(before: readonly Instance[], next: readonly Instance[], because: readonly AuditDraft[]): void;
  ended(session: EndedSession, because: readonly AuditDraft[]): void;
}

/** The ports to all that control keeps. */
export interface ControlStorePorts {
  readonly releases: ReleaseStore;
  readonly audit: AuditLog;
  readonly history: SessionHistory;
  readonly forecasts: ForecastStore;
  readonly timeline: SessionTimeline;
}

export const sha256 = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex");

/** What control keeps on its disk: records, the audit chain and the history. It outlives every control process. */
export class ControlStore {
  readonly #disk: Disk;
  readonly #watch: RecordsWatch;
  services: readonly ServiceRecord[] = [];
  instances: readonly Instance[] = [];
  readonly chain: StoredAuditEntry[] = [];
  readonly ended: EndedSession[] = [];
  tableNumber = 0;
  #head: AuditHead = CHAIN_START;
  readonly #lastSeq = new Map<string, number>();
  readonly #forecasts = new Map<string, unknown>();

  constructor(disk: Disk, watch: RecordsWatch) {
    this.#disk = disk;
    this.#watch = watch;
  }

  service(name: string): ServiceRecord | undefined {
    return this.services.find((service) => service.name === name);
  }

  /** @throws HoldoverError AUDIT_BROKEN */
  verify(): AuditHead {
    return verifyChain(this.chain, this.#head, sha256);
  }

  /** The store as one control process sees it. What it reads is a copy, as from a file. */
  ports(life: Life): ControlStorePorts {
    const disk = this.#disk;
    return {
      releases: {
        services: () => disk.read(life, () => structuredClone(this.services) as ServiceRecord[]),
        saveServices: (services, because) =>
          disk.write(life, () => {
            const before = this.services;
            this.services = services;
            this.#append(because);
            this.#watch.services(before, services, because);
          }),
        instances: () => disk.read(life, () => structuredClone(this.instances) as Instance[]),
        saveInstances: (instances, because) =>
          disk.write(life, () => {
            const before = this.instances;
            this.instances = instances;
            this.#append(because);
            this.#watch.instances(before, instances, because);
          }),
        tableNumber: () => disk.read(life, () => this.tableNumber),
        saveTableNumber: (number, because) =>
          disk.write(life, () => {
            if (number <= this.tableNumber) throw new Error(`table ${number} is not above ${this.tableNumber}`);
            this.tableNumber = number;
            this.#append(because);
          }),
      },
      audit: {
        append: (drafts) => disk.write(life, () => this.#append(drafts)),
        read: (afterSeq, limit, filter = {}) => disk.read(life, () => this.#sought(filter, afterSeq).slice(0, limit)),
        tail: (limit, filter = {}) => disk.read(life, () => this.#sought(filter).slice(-limit)),
        head: () => disk.read(life, () => this.#head),
        verify: () => disk.read(life, () => this.verify()),
        subscribe: () => () => {},
      },
      history: this.#history(life),
      forecasts: {
        load: () => disk.read(life, () => new Map(this.#forecasts) as Awaited<ReturnType<ForecastStore["load"]>>),
        save: (service, record) => disk.write(life, () => void this.#forecasts.set(service, record)),
      },
      // Nobody looks at it here: that it is written is what others may be disturbed by.
      timeline: {
        append: () => disk.write(life, () => {}),
        read: () => disk.read(life, () => []),
        forget: () => disk.write(life, () => {}),
      },
    };
  }

  #history(life: Life): SessionHistory {
    const disk = this.#disk;
    return {
      record: (host, events, auditOf) =>
        disk.write(life, () => {
          let last = this.#lastSeq.get(host) ?? 0;
          for (const event of events) {
            if (event.seq <= last) continue;
            last = event.seq;
            const because = auditOf(event);
            this.#append(because);
            if (event.kind !== "ended") continue;
            this.ended.push(event.session);
            this.#watch.ended(event.session, because);
          }
          this.#lastSeq.set(host, last);
          return last;
        }),
      ended: ({ service, release, key, sinceMs = Number.NEGATIVE_INFINITY }, limit) =>
        disk.read(life, () =>
          this.ended
            .filter(
              (one) =>
                (service === undefined || one.service === service) &&
                (release === undefined || one.release === release) &&
                (key === undefined || one.key === key) &&
                one.endedAtMs >= sinceMs,
            )
            .toSorted((a, b) => b.endedAtMs - a.endedAtMs)
            .slice(0, limit),
        ),
      // Only asked for by whoever looks at the dashboard.
      lengths: () => disk.read(life, () => ({ ends: 0, lengthMs: new Float64Array(), forced: new Uint8Array() })),
      totals: () => disk.read(life, () => []),
    };
  }

  #sought(filter: AuditFilter, afterSeq = 0): AuditEntry[] {
    return this.chain
      .slice(afterSeq)
      .map(readEntry)
      .filter((entry) => isSought(entry, filter));
  }

  #append(drafts: readonly AuditDraft[]): void {
    for (const draft of drafts) {
      const entry = nextEntry(this.#head, draft, sha256);
      this.chain.push(entry);
      this.#head = entry;
    }
  }
}
