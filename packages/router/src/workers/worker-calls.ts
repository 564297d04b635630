import {
  asHoldoverError,
  fromWireEntry,
  HoldoverError,
  toWireEntry,
  type CheckpointStore,
  type SignedText,
  type StaleCalls,
  type WorkerDrain,
  type WorkerCall,
} from "@holdover/core";
import { base64 } from "./base64.ts";
import type { Sessions } from "../sessions.ts";
import type { Membership } from "./membership.ts";
import type { Member } from "./worker-link.ts";
import { withOlderCopies } from "./older-copies.ts";
import type { Worker } from "./worker.ts";

interface Parts {
  readonly sessions: Sessions;
  readonly checkpoints: CheckpointStore;
  readonly membership: Membership;
  readonly drain: (member: Member, drain: WorkerDrain) => void;
  /** The workers of a service that are linked now. */
  readonly linked: (service: string) => Worker[];
  /** Follows the worker's word, where its certificate is good. */
  readonly admit: () => void;
  readonly renewed: (certificate: SignedText) => void;
  /** Refused: the fence that the worker named is over. */
  readonly stale: (call: keyof StaleCalls) => void;
}

/** Does what a worker asks. Of a session it is asked only by the instance that the session lives on. */
export function answerWorker(worker: Worker, call: WorkerCall, parts: Parts): unknown {
  const { member } = worker;
  switch (call.name) {
    case "ready":
      worker.ready = call.ready;
      return;
    case "draining":
      if (worker.draining !== call.draining) {
        const phase = call.draining ? "started" : "cancelled";
        parts.drain(member, { phase, cut: 0, reason: "its worker says so" });
      }
      worker.draining = call.draining;
      return parts.admit();
    case "release":
      // Nothing is placed on it while it drains; called off, it may be again, which control's own release does not allow.
      return worker.draining ? parts.sessions.isFree(member.instance) : { released: false, sessions: 0 };
    case "open":
      if (parts.membership.isRevoked(member.instance)) throw revoked(member.instance, parts.membership);
      return worker.sessions.open(call.key, call.label);
    case "attach":
      return notingStale(parts, "attach", () =>
        worker.sessions.attach({ key: call.key, fence: call.fence, endsWith: false }),
      );
    case "leave":
      return worker.sessions.leave(call.key, call.fence);
    case "end":
      return worker.sessions.end(call.key, call.fence, call.how);
    case "state-open":
      return notingStale(parts, "claim", () => openState(worker, call, parts));
    case "state-write":
      return notingStale(parts, "write", () => writeState(member, call, parts));
    case "renew":
      return renew(worker, call.certificate, parts);
    case "forced":
      return parts.drain(member, { phase: "forced", cut: call.cut, reason: call.reason });
    case "table-refused":
      return parts.membership.refused(
        member.instance,
        new HoldoverError("TABLE_REJECTED", { problem: `the worker says: ${call.problem}` }),
      );
  }
}

/** Counts what is refused for its fence. */
async function notingStale<Answer>(
  { stale }: Parts,
  kind: keyof StaleCalls,
  answer: () => Answer | Promise<Answer>,
): Promise<Answer> {
  try {
    return await answer();
  } catch (thrown) {
    const { code } = asHoldoverError(thrown);
    if (code === "CHECKPOINT_STALE" || code === "SESSION_NOT_HELD") stale(kind);
    throw thrown;
  }
}

function revoked(instance: string, membership: Membership): HoldoverError {
  const error = new HoldoverError("MEMBER_REJECTED", { instance, reason: "revoked", problem: "it was revoked" });
  membership.refused(instance, error);
  return error;
}

async function renew(worker: Worker, certificate: SignedText, { membership, renewed }: Parts): Promise<SignedText> {
  const next = await membership.renew(worker.member, worker.publicKey, certificate);
  renewed(next);
  return next;
}

/** Claims, then reads: after that nothing that an earlier owner still sends comes between. */
async function openState(
  worker: Worker,
  { key, fence }: { readonly key: string; readonly fence: number },
  { sessions, checkpoints, linked }: Parts,
): Promise<unknown> {
  const { service, instance } = worker.member;
  mayKeep(sessions, { service, key, instance, fence });
  await checkpoints.claim({ service, key, fence });
  const checkpoint = await checkpoints.read(service, key);
  if (!checkpoint) return null;
  const entries = await withOlderCopies(checkpoint.entries, worker, linked(service));
  return { fence: checkpoint.fence, entries: entries.map((entry) => toWireEntry(entry, base64.encode)) };
}

async function writeState(
  { service, instance }: Member,
  { key, fence, entries }: Extract<WorkerCall, { readonly name: "state-write" }>,
  { sessions, checkpoints }: Parts,
): Promise<void> {
  mayKeep(sessions, { service, key, instance, fence });
  await checkpoints.write({
    service,
    key,
    fence,
    entries: entries.map((entry) => fromWireEntry(entry, base64.decode)),
  });
}

/** @throws HoldoverError CHECKPOINT_STALE */
function mayKeep(
  sessions: Sessions,
  claim: { readonly service: string; readonly key: string; readonly instance: string; readonly fence: number },
): void {
  if (sessions.mayKeepState(claim)) return;
  const { service, key, fence } = claim;
  throw new HoldoverError("CHECKPOINT_STALE", { service, key, fence, problem: "it does not live on this instance" });
}
