import type { Control, PreviewRequest } from "@holdover/control";
import { asHoldoverError, type ReleaseRecord, type ReleaseStateName, type ServiceDefinition } from "@holdover/core";
import type { ControlStore } from "./control-store.ts";
import { definitionOf, inputOf, nameOf } from "./definition.ts";
import type { Build } from "./processes.ts";
import type { RecordRules } from "./record-rules.ts";
import type { Declared, Step } from "./schedule.ts";
import type { Verdict } from "./verdict.ts";

type Word = Extract<
  Step,
  { do: "deploy" | "promote" | "ramp" | "rollback" | "retire" | "restart" | "move" | "prepare" }
>;

const ACTOR = "operator";
/** What a word meets that nobody could know before: the host, the store and the rest of the world. */
const UNFORESEEN: ReadonlySet<string> = new Set(["LINK_DOWN", "NOT_IN_FORCE", "STORE_FAILED", "CONTROL_BUSY"]);
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
  /** One session is asked to be moved; returns what says that this was answered. */
  readonly moving: (service: string, key: string) => () => void;
}

/** People who deploy, ramp, roll back, retire and restart, and what they have in their holdover.yaml. */
export class Operators {
  readonly #options: OperatorsOptions;
  readonly #builds = new Map<string, Build>();
  /** What holdover.yaml says: a deploy takes it along, and a new host reads it. */
  readonly declared = new Map<string, ServiceDefinition>();
  #newest = 1;
  deploys = 0;
  /** Words that were done although their preview said that they may cut. */
  dangerous = 0;

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
        if (!release) return;
        const preview = { action: "promote", release: release.id } as const;
        return this.#foreseen(control, name, preview, () =>
          this.#asked(control.promote(name, release.id, ACTOR), cutOver),
        );
      }
      case "ramp": {
        const release = this.#pick(name, word.which, "ready", "ramping", "retained");
        if (!release) return;
        const { percent } = word;
        const preview = { action: "ramp", release: release.id, percent } as const;
        return this.#foreseen(control, name, preview, () =>
          this.#asked(control.ramp(name, release.id, percent, ACTOR)),
        );
      }
      case "rollback": {
        const to = word.which === null ? undefined : this.#pick(name, word.which, "retained")?.id;
        const request = { ...(to === undefined ? {} : { to }), sessions: word.cut ? "cut" : "finish" } as const;
        return this.#foreseen(control, name, { action: "rollback", ...request }, () => {
          const answered = word.cut ? this.#options.rules.word(name) : () => {};
          return this.#asked(control.rollback(name, request, ACTOR), cutOver, answered);
        });
      }
      case "retire": {
        const release = this.#pick(name, word.which, "starting", "ready", "ramping", "retained", "expiring");
        if (release) this.#retire(control, name, release.id, word.now);
        return;
      }
      case "restart": {
        const { batch, waitMs, graceMs } = word;
        const settings = { batch, waitMs, graceMs };
        const preview = { action: "restart", ...settings } as const;
        return this.#foreseen(control, name, preview, () => this.#asked(control.restart(name, settings, ACTOR)));
      }
      case "move": {
        const answered = this.#options.moving(name, word.key);
        void this.#asked(control.move(name, word.key, ACTOR), () => {}, answered);
        return;
      }
      case "prepare":
        if (word.inMs === null) void this.#asked(control.unprepare(name, ACTOR));
        else void this.#asked(control.prepare(name, { inMs: word.inMs }, ACTOR));
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
        else void this.#asked(control.promote(name, id, ACTOR));
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
    void this.#asked(control.deploy(name, { release, dir, definition, then }, ACTOR), () => {
      this.deploys += 1;
    });
  }

  #retire(control: Control, name: string, release: string, now: boolean): void {
    this.#foreseen(control, name, { action: "retire", release, now }, () => {
      const answered = this.#options.rules.word(`${name}/${release}`);
      return this.#asked(control.retire(name, release, now, ACTOR), () => {}, answered);
    });
  }

  /** Looks what a word would do before it is said: what is shown is what has to become of it. */
  #foreseen(control: Control, name: string, request: PreviewRequest, say: () => Promise<string | null>): void {
    const seen = (): string => JSON.stringify(control.status().services.find((service) => service.name === name));
    const before = seen();
    const judge = async (): Promise<void> => {
      const { problem, cuts } = await control.preview(name, request);
      const refusal = await say();
      if (refusal === null && cuts !== 0) this.dangerous += 1;
      if (refusal === null || UNFORESEEN.has(refusal) || problem !== null || seen() !== before) return;
      this.#options.verdict.break(
        "preview",
        `${request.action} of ${name} was to be done, and is refused with ${refusal}`,
      );
    };
    judge().catch((thrown: unknown) => this.#options.verdict.break("sound", `a preview fails: ${String(thrown)}`));
  }

  /** An error of the table is an answer, too. @returns its code; null: it was done */
  async #asked(
    answer: Promise<unknown>,
    then: () => void = () => {},
    answered: () => void = () => {},
  ): Promise<string | null> {
    try {
      await answer;
      then();
      return null;
    } catch (thrown) {
      const { code, message } = asHoldoverError(thrown);
      if (code === "INTERNAL") this.#options.verdict.break("sound", message);
      return code;
    } finally {
      answered();
    }
  }

  #pick(service: string, which: number, ...states: ReleaseStateName[]): ReleaseRecord | undefined {
    const all = this.#options.records().service(service)?.releases ?? [];
    const there = all.filter(({ state }) => states.includes(state.name));
    return there[which % Math.max(1, there.length)];
  }
}
