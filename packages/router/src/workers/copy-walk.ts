import { asHoldoverError, HoldoverError } from "@holdover/core";
import type { Worker } from "./worker.ts";

/** Sessions whose copies are made at once. */
const AT_ONCE = 16;
/** How long a worker may take for one session, ms. */
const COPY_MS = 5000;

/** A session on an instance. */
interface Living {
  readonly key: string;
  readonly fence: number;
}

export interface CopyWalkOptions {
  readonly living: (instance: string) => Iterable<Living>;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/**
 * Has workers copy what their sessions keep for an older release that has come: one that is deployed anew, to go back to.
 * Whatever a session writes from then on brings its copy along, so this is for those that write nothing.
 */
export class CopyWalk {
  readonly #options: CopyWalkOptions;
  /** By instance: for which versions its sessions have copies, or are about to. */
  readonly #walked = new Map<string, { readonly versions: string; readonly done: Promise<void> }>();

  constructor(options: CopyWalkOptions) {
    this.#options = options;
  }

  /** @param versions what older releases read, by format: none, and there is nothing to copy */
  begin(worker: Worker, versions: Readonly<Record<string, readonly number[]>>): void {
    const { instance } = worker.member;
    if (Object.values(versions).every((wanted) => wanted.length === 0)) {
      this.#walked.delete(instance);
      return;
    }
    const words = JSON.stringify(versions);
    if (this.#walked.get(instance)?.versions === words) return;
    this.#walked.set(instance, { versions: words, done: this.#walk(worker) });
  }

  /** Resolves when the copies that were begun are made. Those that fail are made when they are read, if anybody still can. */
  async settled(): Promise<void> {
    await Promise.all(Array.from(this.#walked.values(), ({ done }) => done));
  }

  forget(instance: string): void {
    this.#walked.delete(instance);
  }

  async #walk(worker: Worker): Promise<void> {
    const sessions = [...this.#options.living(worker.member.instance)].map(({ key, fence }) => ({ key, fence }));
    let failed = 0;
    let problem = "";
    const next = async (): Promise<void> => {
      for (let session = sessions.pop(); session; session = sessions.pop()) {
        try {
          if (!worker.link) throw new HoldoverError("LINK_DOWN");
          await worker.link.call({ name: "copy-state", ...session }, COPY_MS);
        } catch (thrown) {
          failed += 1;
          problem = asHoldoverError(thrown).message;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
    if (failed === 0) return;
    const { instance } = worker.member;
    this.#options.log("state.copies.failed", { instance, failed, problem });
    // With its next hello they are tried again.
    this.#walked.delete(instance);
  }
}
