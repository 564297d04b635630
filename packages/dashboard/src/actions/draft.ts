import type { PreviewRequest, ServiceView } from "@holdover/control/api";
import type { HoldoverApi } from "../data/api.ts";
import { counted } from "../words/figures.ts";
import type { Asked } from "./asked.ts";
import { readDuration } from "./duration-field.ts";

/** How an action is to be done, as far as it is filled in. */
export interface Draft {
  readonly release: string;
  readonly dir: string;
  readonly then: "promote" | "ramp" | "wait";
  readonly percent: number;
  readonly sessions: "finish" | "cut";
  readonly now: boolean;
  readonly batch: number;
  readonly wait: string;
  readonly grace: string;
}

export function firstDraft(asked: Asked, service: ServiceView | undefined): Draft {
  const release = "release" in asked ? (asked.release ?? "") : "";
  const current = service?.releases.find(({ id }) => id === service.current);
  const acted = service?.releases.find(({ id }) => id === release);
  return {
    release: asked.action === "rollback" && release === "" ? (previousOf(service) ?? "") : release,
    dir: (asked.action === "deploy" && acted ? acted.dir : current?.dir) ?? "",
    then: "promote",
    percent: acted?.state === "ramping" ? acted.percent : 10,
    sessions: "finish",
    now: acted?.state === "expiring",
    batch: 1,
    wait: "10m",
    grace: "",
  };
}

/** The release that was current last and can be gone back to. */
function previousOf(service: ServiceView | undefined): string | undefined {
  return service?.releases
    .filter(({ state }) => state === "retained")
    .toSorted((a, b) => b.currentAtMs - a.currentAtMs)[0]?.id;
}

/** What is asked of the API, or what is still missing. */
export type Order = { readonly request: PreviewRequest } | { readonly missing: string };

export function orderOf(asked: Asked, draft: Draft): Order {
  switch (asked.action) {
    case "deploy":
      if (draft.release.trim() === "") return { missing: "Give the release an id: a version or a git SHA." };
      return { request: { action: "deploy", release: draft.release.trim() } };
    case "promote":
      return { request: { action: "promote", release: asked.release } };
    case "ramp":
      if (!(draft.percent > 0 && draft.percent <= 100)) return { missing: "Give a percentage above 0 and up to 100." };
      return { request: { action: "ramp", release: asked.release, percent: draft.percent } };
    case "rollback":
      return {
        request: { action: "rollback", ...(draft.release !== "" && { to: draft.release }), sessions: draft.sessions },
      };
    case "retire":
      return { request: { action: "retire", release: asked.release, now: draft.now } };
    case "restart":
      return restartOf(draft);
    case "move":
      return { request: { action: "move", key: asked.key } };
  }
}

/** Instances of a batch, at the most. */
const BATCH_MOST = 256;

function restartOf({ batch, wait, grace }: Draft): Order {
  const waitMs = readDuration(wait);
  const graceMs = grace.trim() === "" ? undefined : readDuration(grace);
  if (!Number.isInteger(batch) || batch < 1 || batch > BATCH_MOST)
    return { missing: "A batch has 1 to 256 instances." };
  if (waitMs === null) return { missing: "Write the wait as 90s, 10m or 1.5h, a week at the most." };
  if (graceMs === null) return { missing: "Write the grace as 30s or 2m, a week at the most." };
  return { request: { action: "restart", batch, waitMs, ...(graceMs !== undefined && { graceMs }) } };
}

/**
 * Does it.
 * @returns what it answers that the status does not tell; null: nothing
 * @throws ApiFailure
 */
export async function carryOut(
  api: HoldoverApi,
  service: string,
  request: PreviewRequest,
  draft: Draft,
): Promise<string | null> {
  switch (request.action) {
    case "deploy": {
      const then = draft.then === "ramp" ? { then: draft.then, percent: draft.percent } : { then: draft.then };
      const dir = draft.dir.trim();
      await api.deploy(service, { release: request.release, ...(dir !== "" && { dir }), then });
      return null;
    }
    case "promote":
      await api.promote(service, request.release);
      return null;
    case "ramp":
      await api.ramp(service, request.release, request.percent);
      return null;
    case "rollback": {
      const { action: _, ...rollback } = request;
      await api.rollback(service, rollback);
      return null;
    }
    case "retire":
      await api.retire(service, request.release, request.now);
      return null;
    case "restart": {
      const { action: _, ...restart } = request;
      await api.restart(service, restart);
      return null;
    }
    case "move": {
      const { connections, to, job } = await api.move(service, request.key);
      return job
        ? "The worker that holds it was asked to finish; it stays until it has."
        : `${counted(connections, "connection")} of it ${connections === 1 ? "is" : "are"} asked to come back, and ${connections === 1 ? "finds" : "find"} it on ${to}.`;
    }
  }
}
