/** What a story comes to. */
export interface Told {
  /** All is as it was promised. */
  readonly sound: boolean;
  /** The numbers, for machines. */
  readonly result: object;
  /** The numbers, for people. */
  readonly summary: readonly string[];
  /** What to look at where it is not sound. */
  readonly faults: readonly string[];
}

/** Tells it with real clients, a real router and real processes. @param out where progress is shown */
export type Story = (out: NodeJS.WriteStream) => Promise<Told>;
