import {
  acceptTable,
  asHoldoverError,
  type RoutedRelease,
  type SignedText,
  type Trust,
  type VerifySignature,
} from "@holdover/core";

/** What a release, or one instance of it, takes. */
export type Admission = "new" | "existing" | "none";

/** What the table in force says of this worker's release. */
export interface ReleaseView {
  /** What this instance takes. `none` once the table does not list it any more. */
  readonly admission: Admission;
  /** When what is live on the release has to have ended, epoch ms; null: no such time is set. */
  readonly deadlineMs: number | null;
}

/** Follows the signed table, for what it says of one instance. A forged or older one changes nothing. */
export class ReleaseWatch {
  readonly #instance: string;
  readonly #verify: VerifySignature;
  readonly #listeners = new Set<(view: ReleaseView) => void>();
  #trust: Trust;
  #number = 0;
  #view: ReleaseView | null = null;

  constructor(instance: string, trust: Trust, verify: VerifySignature) {
    this.#instance = instance;
    this.#trust = trust;
    this.#verify = verify;
  }

  /** Null before the first table that lists this instance. */
  get view(): ReleaseView | null {
    return this.#view;
  }

  /** @returns why the table is not followed; null where it is */
  follow(signed: SignedText): string | null {
    try {
      const { trust, table } = acceptTable(signed, { trust: this.#trust, number: this.#number }, this.#verify);
      this.#trust = trust;
      this.#number = table.number;
      const view = this.#viewOf(table.services.flatMap((service) => service.releases));
      // It is not listed before it is ready, and must not be unready for that.
      if (view.admission !== "none" || this.#view) this.#become(view);
      return null;
    } catch (thrown) {
      return asHoldoverError(thrown).message;
    }
  }

  /** Calls back at once with what is known, and on every change; returns what ends it. */
  subscribe(listener: (view: ReleaseView) => void): () => void {
    const called = (view: ReleaseView): void => listener(view);
    this.#listeners.add(called);
    if (this.#view) called(this.#view);
    return () => this.#listeners.delete(called);
  }

  #viewOf(releases: readonly RoutedRelease[]): ReleaseView {
    for (const { admission, deadlineMs, instances } of releases) {
      const own = instances.find(({ id }) => id === this.#instance);
      if (!own) continue;
      const narrower = own.admission === "existing" && admission === "new" ? "existing" : admission;
      return { admission: narrower, deadlineMs };
    }
    return { admission: "none", deadlineMs: null };
  }

  #become(view: ReleaseView): void {
    if (this.#view?.admission === view.admission && this.#view.deadlineMs === view.deadlineMs) return;
    this.#view = view;
    for (const listener of this.#listeners) listener(view);
  }
}
