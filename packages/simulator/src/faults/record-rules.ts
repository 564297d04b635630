import type { AuditDraft, EndedSession, Instance, ReleaseRecord, RoutingTable, ServiceRecord } from "@holdover/core";
import { sha256, type ControlStore, type RecordsWatch } from "./control-store.ts";
import type { Verdict } from "./verdict.ts";
import type { WallClock } from "./virtual-time.ts";

export interface RecordRulesOptions {
  readonly verdict: Verdict;
  readonly controlClock: WallClock;
  readonly records: () => ControlStore;
}

/** The rules of what control stores: no change without its entry (7), no release that expires for no reason (3). */
export class RecordRules implements RecordsWatch {
  readonly #options: RecordRulesOptions;
  /**
   * What operators have asked to be ended and were not answered yet: `service/release`, or a service for the release
   * that a rollback leaves.
   */
  readonly #words = new Map<string, number>();
  readonly #ended = new Set<number>();
  /** Connections that were told to end with their session, by its fence. */
  readonly #told = new Map<number, number>();
  #verified = 0;

  constructor(options: RecordRulesOptions) {
    this.#options = options;
  }

  /** An operator's word; returns what takes it back once it was answered. */
  word(of: string): () => void {
    this.#words.set(of, (this.#words.get(of) ?? 0) + 1);
    return () => {
      const left = (this.#words.get(of) ?? 0) - 1;
      if (left > 0) this.#words.set(of, left);
      else this.#words.delete(of);
    };
  }

  told(fence: number): void {
    this.#told.set(fence, (this.#told.get(fence) ?? 0) + 1);
  }

  /** An end that was not stored yet has not happened. */
  hostCrashed(): void {
    this.#told.clear();
  }

  ended({ key, fence, reason, connectionsClosed }: EndedSession, because: readonly AuditDraft[]): void {
    if (this.#ended.has(fence)) this.#options.verdict.break("converges", `${key} has ended twice under fence ${fence}`);
    this.#ended.add(fence);
    if (reason !== "moved" && reason !== "cut") return;
    const entry = because.find((one) => one.kind === `session.${reason}` && one.session === key);
    const told = this.#told.get(fence) ?? 0;
    const counted = entry?.detail?.["connectionsClosed"];
    if (counted !== connectionsClosed || told > connectionsClosed) {
      this.#options.verdict.break(
        "audit",
        `${key} was ${reason}, ${told} connections told to end, and the audit entry has ${counted}`,
      );
    }
  }

  services(before: readonly ServiceRecord[], next: readonly ServiceRecord[], because: readonly AuditDraft[]): void {
    for (const service of next) {
      const known = before.find(({ name }) => name === service.name);
      for (const release of service.releases) {
        const was = known?.releases.find(({ id }) => id === release.id);
        const told = because.filter((entry) => entry.service === service.name && entry.release === release.id);
        this.#stateChange(service.name, was, release, told);
        if (was && known && release.state.name === "expiring") this.#expires(known, was);
      }
    }
  }

  #stateChange(
    service: string,
    was: ReleaseRecord | undefined,
    release: ReleaseRecord,
    told: readonly AuditDraft[],
  ): void {
    const to = release.state.name;
    if (was?.state.name === to && was.state.sinceMs === release.state.sinceMs) return;
    let at = was?.state.name;
    for (const { kind, detail } of told) {
      if (detail?.["from"] === undefined || detail["from"] !== at) continue;
      at = kind.slice("release.".length) as typeof at;
    }
    const declared = !was && told.some(({ kind }) => kind === `release.${to}`);
    if (at !== to && !declared) {
      this.#options.verdict.break(
        "audit",
        `${service}/${release.id} goes from ${was?.state.name} to ${to} without an audit entry`,
      );
    }
    if (was?.state.name === to && !told.some(({ kind }) => kind === `release.${to}`)) {
      this.#options.verdict.break("audit", `${service}/${release.id} is ${to} anew without an audit entry`);
    }
  }

  /** Rule 3, seen from the records: what begins to end a release. */
  #expires({ name, definition, releases }: ServiceRecord, was: ReleaseRecord): void {
    if (was.state.name === "expiring") return;
    if (this.#words.has(`${name}/${was.id}`)) return;
    if (was.state.name === "current" && this.#words.has(name)) return;
    const { retention } = definition;
    const retained = releases.filter(({ state }) => state.name === "retained").length;
    if (retention.maxRetained !== undefined && retained > retention.maxRetained) return;
    if (was.state.name === "retained") {
      const latestMs = this.#options.controlClock.latest();
      if (retention.policy === "fixed" && latestMs >= was.state.sinceMs + retention.window) return;
      // Nobody may be cut before the ceiling: that is the budget of nothing that all schedules have.
      if (retention.policy === "budget" && latestMs >= was.state.sinceMs + retention.ceiling) return;
    }
    this.#options.verdict.break("stop", `${name}/${was.id} expires from ${was.state.name} by no window and no word`);
  }

  instances(before: readonly Instance[], next: readonly Instance[], because: readonly AuditDraft[]): void {
    for (const { id, state } of next) {
      const was = before.find((one) => one.id === id)?.state.name;
      if (was === state.name) continue;
      const last = because.findLast((entry) => entry.instance === id);
      if (last?.kind !== `instance.${state.name}`) {
        this.#options.verdict.break("audit", `${id} goes from ${was} to ${state.name} without an audit entry`);
      }
    }
  }

  /** A cutover by word was answered: what it says is in force. */
  cutoverAnswered(table: RoutingTable, service: string): void {
    const states = new Map(
      this.#options
        .records()
        .service(service)
        ?.releases.map(({ id, state }) => [id, state.name]),
    );
    for (const { id, admission } of table.services.find(({ name }) => name === service)?.releases ?? []) {
      const state = states.get(id);
      if (admission === "new" && state !== "current" && state !== "ramping") {
        this.#options.verdict.break(
          "admission",
          `a cutover was answered, and table ${table.number} has ${id}, ${state}, take new sessions`,
        );
      }
    }
  }

  /** After every step. */
  look(): void {
    const { chain } = this.#options.records();
    for (; this.#verified < chain.length; this.#verified++) {
      const entry = chain[this.#verified];
      const before = chain[this.#verified - 1]?.hash ?? "0".repeat(64);
      const seq = this.#verified + 1;
      if (entry?.seq !== seq || entry.hash !== sha256(`${before}\n${seq}\n${entry.body}`)) {
        this.#options.verdict.break("audit", `the audit chain breaks at entry ${seq}`);
      }
    }
  }
}
