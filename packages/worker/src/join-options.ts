import type { Server } from "node:http";
import type { JobDesk, SessionFormat } from "@holdover/core";

export interface JoinOptions {
  /** What sessions keep, in the versions that this release writes. */
  readonly formats?: readonly SessionFormat<unknown>[];
  /** Closed when this process has drained; then nothing holds the process any more. */
  readonly server?: Server;
  /** It can take sessions at once; true unless set. See {@link Holdover.ready}. */
  readonly ready?: boolean;
  /** SIGTERM drains, and a second one forces the end; true unless set. */
  readonly signals?: boolean;
  /** Takes jobs that the host offers; see AgentPool. */
  readonly jobs?: JobDesk;
  /** What somebody should look at; one line on standard error each unless set. */
  readonly warn?: (text: string) => void;
  readonly env?: NodeJS.ProcessEnv;
}
