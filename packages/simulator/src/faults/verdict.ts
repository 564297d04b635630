import type { VirtualTime } from "./virtual-time.ts";

/** The rules of DESIGN, by number and word; those without a number are of the run itself. */
export const RULES = {
  "one-pin": "1: one session, one pin",
  admission: "2: no new session where the table does not admit it, and nothing accepted and then refused",
  stop: "3: nothing is stopped, moved or cut before its window and grace, or without a word",
  fence: "4: a fence never goes back",
  "pin-kept": "5: no ramp, rollback or release changes a pin",
  "disconnect-cap": "6: never more connections closed on purpose within a period than the cap",
  audit: "7: every state change has an audit entry, and the chain verifies",
  serves: "8: the data plane serves, with or without control",
  "durable-pin": "9: no crash loses a pin that was answered",
  preview: "what is shown before a word is what becomes of it, where nothing has changed in between",
  sound: "nothing throws what is a defect",
  converges: "without faults all comes to rest, and every session has ended once",
} as const;

export type RuleName = keyof typeof RULES;

export interface Broken {
  readonly rule: RuleName;
  /** What was seen, in a sentence. */
  readonly seen: string;
  /** Of true time. */
  readonly atMs: number;
}

/** The first rule that was seen broken. */
export class Verdict {
  readonly #time: VirtualTime;
  broken: Broken | null = null;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  break(rule: RuleName, seen: string): void {
    this.broken ??= { rule, seen, atMs: this.#time.nowMs };
  }
}
