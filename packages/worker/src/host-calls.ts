import {
  answerTrial,
  HoldoverError,
  type HostCall,
  type JobDesk,
  type JobEnding,
  type JobOffer,
  type SessionFormat,
} from "@holdover/core";
import { base64 } from "./base64.ts";

export interface Asked {
  readonly jobs: JobDesk | undefined;
  /** Jobs that were accepted and are not confirmed, with the session of each. */
  readonly accepted: Map<number, JobOffer["session"]>;
  readonly confirmed: (key: string, fence: number, label: string | null) => void;
  readonly endingOf: (key: string, fence: number, how: JobEnding) => void;
  readonly copyState: (key: string, fence: number) => Promise<void>;
  readonly formats: readonly SessionFormat<unknown>[];
}

/** Does what the host asks. @throws HoldoverError LINK_MESSAGE_INVALID, and what the application's formats throw */
export function answerHost(
  call: HostCall,
  { jobs, accepted, confirmed, endingOf, copyState, formats }: Asked,
): unknown {
  switch (call.name) {
    case "offer": {
      const answer = jobs?.offer(call.job) ?? { accepted: false, reason: "closed" };
      if (answer.accepted) accepted.set(call.job.id, call.job.session);
      return answer;
    }
    case "confirm": {
      const session = accepted.get(call.job);
      const { fence, openedAtMs } = call;
      // Known as held before the job begins, which may ask for its state at once.
      if (session) confirmed(session.key, fence, session.label);
      if (accepted.delete(call.job) && jobs?.confirm(call.job, { fence, openedAtMs })) return null;
      // The host ends it: it is not to be told to the next one as held here.
      if (session) endingOf(session.key, fence, "lost");
      throw new HoldoverError("LINK_MESSAGE_INVALID", { problem: `there is no job ${call.job} here` });
    }
    case "withdraw":
      // What was not accepted, or has been withdrawn when the link broke, is nothing to the desk.
      if (accepted.delete(call.job)) jobs?.withdraw(call.job);
      return;
    case "copy-state":
      return copyState(call.key, call.fence);
    case "ping":
      return null;
    case "ending":
      return endingOf(call.key, call.fence, call.how);
    case "try-formats":
      return answerTrial(formats, call.trial, base64);
  }
}
