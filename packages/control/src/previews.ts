import {
  asHoldoverError,
  currentRelease,
  formatDuration,
  heldSessions,
  previewChange,
  previewDeploy,
  previousRelease,
  type Around,
  type Change,
  type ChangePreview,
  type HoldoverError,
  type ServiceRecord,
  type SessionMoved,
} from "@holdover/core";
import type { DeployPlanView, RestartPlanView } from "./api/forecast-views.ts";
import type { PreviewView } from "./api/preview-views.ts";
import type { Word } from "./decisions.ts";
import type { Planning } from "./planning.ts";

export interface PreviewSources {
  readonly around: Around;
  readonly planning: Pick<Planning, "deployPlan" | "restartPlan">;
  /** What the word itself is decided by. @throws HoldoverError what it would meet */
  readonly decide: () => Promise<Change>;
}

/** What a word would do, or why it would be refused. Changes nothing. */
export async function previewWord(service: ServiceRecord, word: Word, sources: PreviewSources): Promise<PreviewView> {
  const { around, planning, decide } = sources;
  const at = { service: service.name, action: word.action, nowMs: around.nowMs };
  const decided = await attempt(decide);
  if ("refusal" in decided) return refused({ ...at, release: releaseMeant(service, word) }, decided.refusal);
  const change = decided.value;
  const acted = { ...at, release: change.release };
  switch (word.action) {
    case "deploy":
      return { ...allowed(acted, previewDeploy(change, around)), deployPlan: await deployPlanOf(service, planning) };
    case "restart": {
      const planned = await attempt(() => planning.restartPlan(service, word));
      if ("refusal" in planned) return refused(acted, planned.refusal);
      const held = heldSessions(service.name, change.release, around);
      return { ...allowed(acted, restartPreview(planned.value, held)), restartPlan: planned.value };
    }
    default:
      return allowed(acted, previewChange(service, change, around));
  }
}

/** What moving a session would do. @param ask whether it may be moved, and where it lives. @throws HoldoverError INTERNAL */
export async function previewMove(
  service: string,
  nowMs: number,
  ask: () => Promise<SessionMoved>,
): Promise<PreviewView> {
  const at = { service, action: "move", nowMs } as const;
  const asked = await attempt(ask);
  if ("refusal" in asked) return refused({ ...at, release: null }, asked.refusal);
  const { release, connections, job, to } = asked.value;
  const many = connections === 1 ? "Its connection is" : `Its ${connections} connections are`;
  const effects = job
    ? [`It is a job of a worker on ${release}: it is asked to finish, and stays there until it has.`]
    : [
        connections === 0
          ? `It has no connection now; whoever comes back to it is placed anew, on ${to}.`
          : `${many} asked to come back, and placed anew on ${to}.`,
        "What it has stored goes with it; what its instance holds in memory alone does not.",
      ];
  return allowed({ ...at, release }, { moves: 1, cuts: 0, effects });
}

type At = Pick<PreviewView, "service" | "action" | "release" | "nowMs">;

function allowed(at: At, { moves, cuts, effects }: ChangePreview): PreviewView {
  const confirm = cuts === 0 ? null : at.release;
  return { ...at, problem: null, moves, cuts, confirm, effects: [...effects], deployPlan: null, restartPlan: null };
}

function refused(at: At, { code, message: what, next }: HoldoverError): PreviewView {
  const nothing = { moves: 0, cuts: 0, confirm: null, effects: [], deployPlan: null, restartPlan: null };
  return { ...at, problem: { code, what, next }, ...nothing };
}

/** The release that a word which was refused is about. */
function releaseMeant(service: ServiceRecord, word: Word): string | null {
  switch (word.action) {
    case "rollback":
      return word.to ?? previousRelease(service)?.id ?? null;
    case "restart":
      return currentRelease(service)?.id ?? null;
    default:
      return word.release;
  }
}

function restartPreview(plan: RestartPlanView, held: number | null): ChangePreview {
  const { batches, waitMs, graceMs, expectedMs, expectedMoved, mostCut, release } = plan;
  const instances = batches.reduce((sum, batch) => sum + batch.instances.length, 0);
  const many = instances === 1 ? `The instance of ${release} is` : `The ${instances} instances of ${release} are`;
  const inTurn = batches.length > 1 ? `, in ${batches.length} batches` : "";
  const wait =
    waitMs === 0
      ? "are asked to move at once"
      : `may end by themselves for ${formatDuration(waitMs)}, are then asked to move`;
  const expected =
    expectedMoved === null
      ? "How many will be left then nobody can tell yet."
      : `About ${Math.round(expectedMoved * 10) / 10} of ${held ?? "its"} sessions are expected to be left then.`;
  const cut = mostCut === 1 ? "one session would be cut" : `${mostCut} sessions would be cut`;
  return {
    moves: held,
    cuts: mostCut,
    effects: [
      ...(mostCut === 0 ? [] : [`If not one ended by itself, ${cut}.`]),
      `${many} replaced${inTurn}, each when another is ready in its place: about ${formatDuration(expectedMs)} in all.`,
      `The sessions of each ${wait}, and cut ${formatDuration(graceMs)} after that.`,
      ...(held === 0 ? [] : [expected]),
    ],
  };
}

/** Null: there is no current release that it would replace, or nobody can tell now. */
async function deployPlanOf(
  service: ServiceRecord,
  planning: Pick<Planning, "deployPlan">,
): Promise<DeployPlanView | null> {
  const planned = await attempt(() => planning.deployPlan(service));
  return "refusal" in planned ? null : planned.value;
}

/** @throws HoldoverError INTERNAL: a defect is no answer */
async function attempt<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly refusal: HoldoverError }> {
  try {
    return { value: await work() };
  } catch (thrown) {
    const refusal = asHoldoverError(thrown);
    if (refusal.code === "INTERNAL") throw thrown;
    return { refusal };
  }
}
