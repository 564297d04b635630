import { HoldoverError, type FencedSession, type SessionFormat } from "@holdover/core";
import { EphemeralCounts, type EphemeralStats } from "./state-ephemeral.ts";
import type { StateLink } from "./state-link.ts";
import { OwnedState, type SessionState, type StateContext } from "./state.ts";

export interface StatesOptions {
  readonly service: string;
  readonly link: StateLink;
  /** Takes what the developer should know and no call fails for, once for each problem; else a warning of the process. */
  readonly warn?: (problem: string) => void;
  /** A clock that does not go back, ms. */
  readonly now?: () => number;
}

/** The states of all sessions that live on this instance: one for each, whoever asks for it. */
export class States {
  readonly #service: string;
  readonly #context: StateContext;
  readonly #counts = new EphemeralCounts(null);
  readonly #owned = new Map<string, { readonly fence: number; readonly state: OwnedState }>();

  constructor({ service, link, warn = warnOfProcess, now = () => performance.now() }: StatesOptions) {
    this.#service = service;
    const warned = new Set<string>();
    this.#context = {
      link,
      now,
      counts: this.#counts,
      warn: (problem) => {
        if (warned.has(problem)) return;
        warned.add(problem);
        warn(problem);
      },
    };
  }

  /** See {@link OwnedState.copyForOlder}. */
  async copyForOlder(session: FencedSession, formats: readonly SessionFormat<unknown>[]): Promise<void> {
    const state = this.of(session);
    if (state instanceof OwnedState) await state.copyForOlder(formats);
  }

  /** The state of a session. Under a higher fence than before it is another one, and the one before is lost. */
  of({ key, fence }: FencedSession): SessionState {
    const known = this.#owned.get(key);
    if (known?.fence === fence) return known.state;
    const state = new OwnedState({ service: this.#service, key, fence }, this.#context);
    if (known && known.fence > fence) {
      state.lose(this.#stale(key, fence, `its fence is ${known.fence} now`));
      return state;
    }
    known?.state.lose(this.#stale(key, known.fence, `its fence is ${fence} now`));
    this.#owned.set(key, { fence, state });
    return state;
  }

  /** The session has left this instance: its state is lost and forgotten here. What is stored of it is not touched. */
  leave({ key, fence }: FencedSession, problem = "it does not live here any more"): void {
    const known = this.#owned.get(key);
    if (known?.fence !== fence) return;
    this.#owned.delete(key);
    known.state.lose(this.#stale(key, fence, problem));
  }

  /** Of all sessions since this process began. */
  stats(): EphemeralStats {
    return this.#counts.stats();
  }

  #stale(key: string, fence: number, problem: string): HoldoverError {
    return new HoldoverError("CHECKPOINT_STALE", { service: this.#service, key, fence, problem });
  }
}

function warnOfProcess(problem: string): void {
  process.emitWarning(problem, { type: "HoldoverWarning" });
}
