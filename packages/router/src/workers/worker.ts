import type { FormatDeclaration } from "@holdover/core";
import type { Member, WorkerLink } from "./worker-link.ts";
import type { WorkerSessions } from "./worker-sessions.ts";

/** A worker that has been let in; it outlasts its link for a while. */
export interface Worker {
  readonly member: Member;
  readonly sessions: WorkerSessions;
  link: WorkerLink | null;
  publicKey: string;
  takesJobs: boolean;
  ready: boolean;
  /** Its own word. */
  draining: boolean;
  /** Its certificate has not run out. */
  isValid: boolean;
  formats: readonly FormatDeclaration[];
  cancelAway: () => void;
  cancelExpiry: () => void;
}
