import { mayCloseNow, type DisconnectCap } from "./disconnects.ts";
import { formatDuration } from "./duration.ts";
import { HoldoverError } from "./errors.ts";
import { expectedLeft, forecastRetirement, type LiveGroup, openSessions } from "./forecast.ts";

/** An instance of the current release, as a restart finds it. */
export interface RestartedInstance {
  readonly id: string;
  /** Its open sessions. */
  readonly open: number;
  /** Of these, the ones that finish by themselves and are not moved. */
  readonly jobs: number;
  readonly lingering: number;
  readonly connections: number;
  /** The open sessions by age; undefined: their ages or their lengths are not known, and none is expected to end by itself. */
  readonly groups: readonly LiveGroup[] | undefined;
}

export interface RestartQuestion {
  /** In the order in which they are replaced. */
  readonly instances: readonly RestartedInstance[];
  /** Instances replaced at once; 1 unless set. */
  readonly batch?: number;
  /** How long the sessions of a batch may end by themselves before they are asked to move, ms. */
  readonly waitMs: number;
  /** How long that may take before what is left is cut, ms. */
  readonly graceMs: number;
  readonly cap: DisconnectCap;
  /** Connections of the whole service, of which the cap is a share. */
  readonly connections: number;
  /** Sessions that one instance may hold; null: any number. */
  readonly capacity: number | null;
  /** How long a session keeps its place after its last connection ended, ms; 0 unless set. */
  readonly lingerMs?: number;
}

export interface RestartBatch {
  readonly instances: readonly string[];
  /** When its turn is expected, from the beginning, ms. */
  readonly startsAfterMs: number;
  /** How long its sessions may end by themselves, ms. */
  readonly waitMs: number;
  /** Sessions expected to be left then, and to be moved; undefined where the lengths are not known: all of them. */
  readonly expectedMoved: number | undefined;
  /** Connections that have to be closed then: the expected ones, or all where the lengths are not known. */
  readonly connections: number;
  /** From the first of them that is closed until the last has had the period of the cap to reconnect, ms. */
  readonly closingMs: number;
}

export interface RestartPlan {
  readonly batches: readonly RestartBatch[];
  /** How long all of it takes, ms. `mostMs`: if not one session ended by itself. */
  readonly duration: { readonly expectedMs: number; readonly mostMs: number };
  /** Undefined where the lengths of any are not known. */
  readonly expectedMoved: number | undefined;
  /** Always 0: where the connections expected to be left could not be closed within the grace, there is no plan. */
  readonly expectedCut: number;
  /** Sessions cut in the worst case, in which not one ended by itself: jobs, and what the grace does not suffice for. */
  readonly mostCut: number;
}

/** How late a table may be, with the tick by which it is followed, ms: so much of a grace may pass before anything is moved. */
const LATE_MS = 1000;

/**
 * The plan of a rolling restart, as it is shown before it runs.
 *
 * It takes each instance as it is now: that as many sessions begin on it as end until its turn comes. It leaves out how long
 * replacements take to be ready, and that what was moved may be placed on an instance whose turn is to come, and moved again.
 *
 * @throws HoldoverError RESTART_INFEASIBLE with the numbers, and with what would have to be set
 */
export function planRestart(question: RestartQuestion): RestartPlan {
  const { waitMs, cap } = question;
  const size = question.batch ?? 1;
  checkSettings(question, size);
  checkCapacity(question);
  const all = question.instances.map((instance) => stateOf(instance, waitMs));
  const pace = paceOf(question);
  const batches: RestartBatch[] = [];
  let startsAfterMs = 0;
  let mostMs = 0;
  let mostCut = 0;
  for (const states of batchesOf(all, size)) {
    const batch = batchOf(states);
    if (batch.connections > pace.within) throw infeasible(question, size, batch, pace);
    const closingMs = closingTime(batch.connections, cap, pace);
    batches.push({ ...batch, startsAfterMs, waitMs, closingMs });
    startsAfterMs += Math.min(waitMs, emptyMs(states, question)) + closingMs;
    const connections = total(states, ({ instance }) => instance.connections);
    mostMs += waitMs + closingTime(connections, cap, pace);
    mostCut += mostCutOf(states, pace, question);
  }
  return {
    batches,
    duration: { expectedMs: startsAfterMs, mostMs },
    expectedMoved: knownTotal(batches.map(({ expectedMoved }) => expectedMoved)),
    expectedCut: 0,
    mostCut,
  };
}

function checkSettings({ instances, waitMs, graceMs, cap }: RestartQuestion, size: number): void {
  const many = instances.length;
  if (many === 0) refuse("the release has no instance", "Deploy it again, or wait until it has one.");
  if (!(Number.isInteger(size) && size >= 1)) refuse(`a batch of ${size} instances is none`, batchRange(many));
  if (size > many) refuse(`a batch of ${size} instances is more than the ${many} that there are`, batchRange(many));
  for (const [name, ms] of Object.entries({ wait: waitMs, grace: graceMs })) {
    if (!(ms >= 0 && ms < Infinity))
      refuse(`a ${name} of ${ms} ms is no time`, "Write 0 or a duration, for example 30s.");
  }
  if (!(cap.atOnce > 0 && cap.atOnce <= 1 && cap.periodMs > 0 && cap.periodMs < Infinity)) {
    const problem = `a disconnect cap of ${cap.atOnce} within ${cap.periodMs} ms lets nothing be closed`;
    refuse(problem, "Write a share above 0 and up to 1, for example 0.05, and a period above 0.");
  }
}

function batchRange(instances: number): string {
  return instances === 1 ? "Write a batch of 1." : `Write a batch of 1 to ${instances}.`;
}

/** A batch has as many replacements as instances, so what is open must fit on as many as there are. */
function checkCapacity({ instances, capacity }: RestartQuestion): void {
  if (capacity === null) return;
  const open = instances.reduce((sum, instance) => sum + instance.open, 0);
  if (open <= capacity * instances.length) return;
  const needed = Math.ceil(open / instances.length);
  const room = `${instances.length} instances of a capacity of ${capacity} hold ${capacity * instances.length} sessions`;
  refuse(
    `${room}, and ${open} are open: the replacements could not take what is moved`,
    `Deploy it with a capacity of at least ${needed}${capacity > 0 ? `, or with at least ${Math.ceil(open / capacity)} instances` : ""}.`,
  );
}

/** An instance and which share of its sessions is expected to be left after the wait. */
interface StateAfter {
  readonly instance: RestartedInstance;
  readonly share: number;
}

function stateOf(instance: RestartedInstance, waitMs: number): StateAfter {
  const { groups } = instance;
  const open = groups ? openSessions(groups) : 0;
  return { instance, share: groups && open > 0 ? expectedLeft(groups, waitMs) / open : 1 };
}

function batchesOf<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}

function batchOf(states: readonly StateAfter[]): Pick<RestartBatch, "instances" | "expectedMoved" | "connections"> {
  return {
    instances: states.map(({ instance }) => instance.id),
    expectedMoved: knownTotal(
      states.map(({ instance, share }) => (instance.groups || instance.open === 0 ? instance.open * share : undefined)),
    ),
    connections: connectionsLeft(states),
  };
}

function connectionsLeft(states: readonly StateAfter[]): number {
  return Math.max(0, Math.ceil(total(states, ({ instance, share }) => instance.connections * share) - 1e-9));
}

function total(states: readonly StateAfter[], of: (state: StateAfter) => number): number {
  return states.reduce((sum, state) => sum + of(state), 0);
}

function knownTotal(parts: readonly (number | undefined)[]): number | undefined {
  return parts.reduce((sum, part) => (sum === undefined || part === undefined ? undefined : sum + part), 0);
}

/** When the last session of a batch has let go, if all end by themselves; infinite where nobody knows. */
function emptyMs(states: readonly StateAfter[], { waitMs, lingerMs = 0 }: RestartQuestion): number {
  const groups: LiveGroup[] = [];
  for (const { instance } of states) {
    if (instance.open === 0) continue;
    if (!instance.groups) return Infinity;
    groups.push(...instance.groups);
  }
  return forecastRetirement({ groups, allowed: 0, horizonMs: waitMs, lingerMs }).medianMs;
}

function mostCutOf(states: readonly StateAfter[], pace: Pace, { graceMs, cap }: RestartQuestion): number {
  const jobs = total(states, ({ instance }) => instance.jobs);
  const open = total(states, ({ instance }) => instance.open) - jobs;
  if (graceMs <= LATE_MS) return jobs + open + total(states, ({ instance }) => instance.lingering);
  const connections = total(states, ({ instance }) => instance.connections);
  const rounds = Math.min(periodsIn(graceMs, cap), Math.floor((graceMs - LATE_MS) / cap.periodMs) + 1);
  const within = rounds * pace.atOnce;
  return jobs + (connections > within ? Math.ceil(open * (1 - within / connections)) : 0);
}

interface Pace {
  /** Connections that may be closed in one period. */
  readonly atOnce: number;
  /** Those that may be closed within the grace, and have the period to reconnect. */
  readonly within: number;
  readonly serviceConnections: number;
}

function paceOf({ cap, connections, instances, graceMs }: RestartQuestion): Pace {
  const own = instances.reduce((sum, instance) => sum + instance.connections, 0);
  const serviceConnections = Math.max(connections, own);
  const atOnce = mayCloseNow(cap, serviceConnections, [], 0);
  return { atOnce, within: periodsIn(graceMs, cap) * atOnce, serviceConnections };
}

function periodsIn(graceMs: number, cap: DisconnectCap): number {
  return Math.floor(graceMs / cap.periodMs + 1e-9);
}

function closingTime(connections: number, cap: DisconnectCap, pace: Pace): number {
  return Math.ceil(connections / pace.atOnce) * cap.periodMs;
}

function infeasible(
  question: RestartQuestion,
  size: number,
  batch: Pick<RestartBatch, "instances" | "connections">,
  pace: Pace,
): HoldoverError {
  const { cap, graceMs, waitMs } = question;
  const takes = formatDuration(closingTime(batch.connections, cap, pace));
  const rate = `${pace.atOnce} within ${formatDuration(cap.periodMs)} (${percent(cap.atOnce)} of ${pace.serviceConnections})`;
  const left = `${batch.connections} connections are expected on ${batch.instances.join(", ")} after a wait of ${formatDuration(waitMs)}`;
  const problem = `${left}; to close them takes ${takes}, at ${rate}, and the grace is ${formatDuration(graceMs)}`;
  return new HoldoverError("RESTART_INFEASIBLE", { problem, remedy: remedyFor(question, size, pace) });
}

/** What would have to be set, each by itself, for every batch to fit in the grace. */
function remedyFor(question: RestartQuestion, size: number, pace: Pace): string {
  const { instances, cap, graceMs, waitMs } = question;
  const after = (ms: number) => instances.map((instance) => stateOf(instance, ms));
  const most = (states: readonly StateAfter[], batch: number) =>
    Math.max(...batchesOf(states, batch).map(connectionsLeft));
  const now = after(waitMs);
  const ways: string[] = [];
  for (let batch = size - 1; batch >= 1; batch--) {
    if (most(now, batch) > pace.within) continue;
    ways.push(`a batch of ${batch}`);
    break;
  }
  const periods = periodsIn(graceMs, cap);
  const share = periods > 0 ? shareFor(Math.ceil(most(now, size) / periods), pace.serviceConnections) : undefined;
  if (share !== undefined) ways.push(`disconnects.atOnce of at least ${percent(share)}`);
  ways.push(`a grace of at least ${formatDuration(roundedUp(closingTime(most(now, size), cap, pace)))}`);
  const wait = firstWait(waitMs, (ms) => most(after(ms), size) <= pace.within);
  if (wait !== undefined) ways.push(`a wait of at least ${formatDuration(wait)}`);
  return ways.length === 1 ? `Set ${ways[0]}.` : `Set one of: ${ways.join("; ")}.`;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

/** The least share, in tenths of a percent, of which so many may be closed at once. */
function shareFor(atOnce: number, connections: number): number | undefined {
  let tenths = Math.ceil((atOnce / connections) * 1000 - 1e-9);
  if (Math.floor(connections * (tenths / 1000)) < atOnce) tenths++;
  return tenths <= 1000 ? tenths / 1000 : undefined;
}

const MOST_WAIT_MS = 7 * 86_400_000;

/** The shortest wait that does, to within a thousandth and as {@link formatDuration} can say it. */
function firstWait(fromMs: number, does: (waitMs: number) => boolean): number | undefined {
  let high = MOST_WAIT_MS;
  if (fromMs >= high || !does(high)) return undefined;
  let low = Math.max(1000, fromMs);
  while (high / low > 1.001) {
    const middle = Math.sqrt(low * high);
    if (does(middle)) high = middle;
    else low = middle;
  }
  return roundedUp(high);
}

/** Up to the next that {@link formatDuration} says in full: what it says must not be too little. */
function roundedUp(ms: number): number {
  const step = ms < 1000 ? 1 : ms < 10_000 ? 100 : ms < 3_600_000 ? 1000 : ms < 86_400_000 ? 60_000 : 3_600_000;
  return Math.ceil(ms / step) * step;
}

function refuse(problem: string, remedy: string): never {
  throw new HoldoverError("RESTART_INFEASIBLE", { problem, remedy });
}
