/** What control does with builds on this machine, beside the data plane, so that no copying slows a session down. */
export interface Builds {
  /** The snapshot's place for a release. */
  pathOf(service: string, release: string): string;
  /**
   * Copies a directory as an immutable snapshot.
   * @throws HoldoverError DIRECTORY_MISSING, SNAPSHOT_FAILED
   */
  snapshot(from: string, to: string): Promise<{ readonly digest: string }>;
  remove(snapshot: string): Promise<void>;
  /** @throws HoldoverError DIRECTORY_MISSING, COMMAND_MISSING */
  check(service: string, command: readonly string[], dir: string): Promise<void>;
  /** Runs a gate in a snapshot. */
  gate(run: GateRun): Promise<GateResult>;
  /** The gate's own log. */
  gateLog(service: string, release: string): string;
  /** The last lines of a log file; none for a file that is not there. */
  tail(file: string, lines: number): Promise<string[]>;
}

export interface GateRun {
  readonly service: string;
  readonly release: string;
  readonly command: readonly string[];
  readonly snapshot: string;
  /** Base URL of a fresh instance of the release. */
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export type GateResult =
  | { readonly passed: true }
  | { readonly passed: false; readonly problem: string; readonly log: readonly string[] };
