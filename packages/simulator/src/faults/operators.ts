import type { Control } from "@holdover/control";
import { asHoldoverError, type ReleaseRecord, type ReleaseStateName, type ServiceDefinition } from "@holdover/core";
import type { ControlStore } from "./control-store.ts";
import { definitionOf, inputOf, nameOf } from "./definition.ts";
import type { Build } from "./processes.ts";
import type { RecordRules } from "./record-rules.ts";
import type { Declared, Step } from "./schedule.ts";
import type { Verdict } from "./verdict.ts";

type Word = Extract<Step, { do: "deploy" | "promote" | "ramp" | "rollback" | "retire" | "restart" | "prepare" }>;

const ACTOR = "operator";
/** Of the release that is declared at the beginning. */
const FIRST_BUILD: Build = { kind: "sound", startMs: 50, exitMs: 20 };

export interface OperatorsOptions {
  readonly verdict: Verdict;
  readonly rules: RecordRules;
  readonly records: () => ControlStore;
  /** What can be asked now; null while control is down. */
  readonly control: () => Control | null;
  /** A cutover by word was answered. */
  readonly cutOver: (service: string) => void;
}

/** People who deploy, ramp, roll back, retire and restart, and what they have in their holdover.yaml. */
export class Operators {
  readonly #options: OperatorsOptions;
  readonly #builds = new Map<string, Build>();
  /** What holdover.yaml says: a deploy takes it along, and a new host reads it. */
  readonly declared = new Map<string, ServiceDefinition>();
  #newest = 1;
  deploys = 0;

  constructor(options: OperatorsOptions, services: readonly Declared[]) {
    this.#options = options;
    for (const [index, declared] of services.entries()) {
      this.declared.set(nameOf(index), definitionOf(index, declared, "/builds/v1"));
    }
  }

  buildOf(service: string, release: string): Build {
    return this.#builds.get(`${service}/${release}`) ?? FIRST_BUILD;
  }

  /** While control is down nobody can say anything. */
  say(word: Word): void {
    const control = this.#options.control();
    if (control) this.#say(word, control, nameOf(word.service));
  }

  #say(word: Word, control: Control, name: string): void {
    const cutOver = (): void => this.#options.cutOver(name);
    switch (word.do) {
      case "deploy":
        return this.#deploy(word, control, name);
      case "promote": {
        const release = this.#pick(name, word.which, "ready", "ramping", "retained");
        if (release) this.#asked(control.promote(name, release.id, ACTOR), cutOver);
        return;
      }
      case "ramp": {
        const release = this.#pick(name, word.which, "ready", "ramping", "retained");
        if (release) this.#asked(control.ramp(name, release.id, word.percent, ACTOR));
        return;
      }
      case "rollback": {
        const to = word.which === null ? undefined : this.#pick(name, word.which, "retained")?.id;
        const answered = word.cut ? this.#options.rules.word(name) : () => {};
        const request = { ...(to === undefined ? {} : { to }), sessions: word.cut ? "cut" : "finish" } as const;
        this.#asked(control.rollback(name, request, ACTOR), cutOver, answered);
        return;
      }
      case "retire": {
        const release = this.#pick(name, word.which, "starting", "ready", "ramping", "retained", "expiring");
        if (release) this.#retire(control, name, release.id, word.now);
        return;
      }
      case "restart": {
        const { batch, waitMs, graceMs } = word;
        this.#asked(control.restart(name, { batch, waitMs, graceMs }, ACTOR));
        return;
      }
      case "prepare":
        if (word.inMs === null) this.#asked(control.unprepare(name, ACTOR));
        else this.#asked(control.prepare(name, { inMs: word.inMs }, ACTOR));
    }
  }

  /** What waits for a word gets one. */
  finish(): void {
    const control = this.#options.control();
    if (!control) return;
    for (const { name, releases } of this.#options.records().services) {
      const current = releases.some(({ state }) => state.name === "current");
      for (const { id, state, intent } of releases) {
        const waits = state.name === "ramping" || (state.name === "ready" && intent.then === "wait");
        if (!waits) continue;
        if (current) this.#retire(control, name, id, true);
        else this.#asked(control.promote(name, id, ACTOR));
      }
    }
  }

  #deploy(word: Extract<Word, { do: "deploy" }>, control: Control, name: string): void {
    const again = word.again === null ? undefined : this.#pick(name, word.again, "retired", "failed");
    if (!again) this.#newest += 1;
    const release = again?.id ?? `v${this.#newest}`;
    const dir = `/builds/${release}`;
    // A release that ran once and is deployed again runs as it did.
    if (again?.state.name !== "retired") this.#builds.set(`${name}/${release}`, word.build);
    this.declared.set(name, definitionOf(word.service, word.declared, dir));
    const definition = inputOf(word.service, word.declared, dir);
    const then = typeof word.then === "number" ? { then: "ramp" as const, percent: word.then } : { then: word.then };
    this.#asked(control.deploy(name, { release, dir, definition, then }, ACTOR), () => {
      this.deploys += 1;
    });
  }

  #retire(control: Control, name: string, release: string, now: boolean): void {
    const answered = this.#options.rules.word(`${name}/${release}`);
    this.#asked(control.retire(name, release, now, ACTOR), () => {}, answered);
  }

  /** An error of the table is an answer, too. */
  #asked(answer: Promise<unknown>, then: () => void = () => {}, answered: () => void = () => {}): void {
    answer.then(then, (thrown: unknown) => {
      const { code, message } = asHoldoverError(thrown);
      if (code === "INTERNAL") this.#options.verdict.break("sound", message);
    });
    answer.then(answered, answered);
  }

  #pick(service: string, which: number, ...states: ReleaseStateName[]): ReleaseRecord | undefined {
    const all = this.#options.records().service(service)?.releases ?? [];
    const there = all.filter(({ state }) => states.includes(state.name));
    return there[which % Math.max(1, there.length)];
  }
}
