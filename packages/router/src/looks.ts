import { asHoldoverError } from "@holdover/core";

interface LooksOptions {
  /** See `SessionsOptions.look`. */
  readonly look: (instance: string) => Promise<void>;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/** Has instances looked at to which a connection failed. However many fail at one time, it is one look and one line in the log. */
export class Looks {
  readonly #options: LooksOptions;
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  /** Resolves when the look that is under way, or a new one, is over. Never rejects. */
  at(instance: string): Promise<void> {
    let looking = this.#underWay.get(instance);
    if (!looking) {
      this.#options.log("instance.unreachable", { instance });
      looking = this.#look(instance).finally(() => this.#underWay.delete(instance));
      this.#underWay.set(instance, looking);
    }
    return looking;
  }

  async #look(instance: string): Promise<void> {
    try {
      await this.#options.look(instance);
    } catch (thrown) {
      this.#options.log("instance.look.failed", { instance, problem: asHoldoverError(thrown).message });
    }
  }
}
