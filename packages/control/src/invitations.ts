import type { KnownInstance } from "@holdover/core";

/** How instances come to belong to this Holdover. */
export interface Invitations {
  /** Grows whenever whom to trust changes: the table, which carries it, is then published anew. */
  readonly epoch: () => number;
  /**
   * What the process of an instance is started with, so that its worker can join once.
   * @param lastsMs how long it may take until it does
   * @throws HoldoverError STORE_FAILED
   */
  readonly environment: (
    instance: KnownInstance & { readonly instance: string },
    lastsMs: number,
  ) => Promise<Readonly<Record<string, string>>>;
}
