import {
  NO_FORMATS,
  type Instance,
  type InstanceState,
  type ReleaseRecord,
  type ReleaseState,
  type ReleaseStateName,
  type RoutedInstance,
  type RoutedRelease,
  type RoutedService,
  type ServiceDefinition,
  type ServiceRecord,
  serviceDefinition,
} from "../src/index.ts";

/** What every retention policy has, as the configuration would give it. */
export const KEPT = { grace: 30_000, wedgedAfter: 600_000, cutWedged: false };

/** A definition as the configuration would give it, but that an empty release is not kept warm; the rest has its default. */
export function sampleDefinition(given: Partial<ServiceDefinition> = {}): ServiceDefinition {
  return {
    ...serviceDefinition.parse({ command: "serve", retention: { policy: "until-empty", floor: "0s" } }),
    ...given,
  };
}

export function sampleRelease(id: string, state: ReleaseState, given: Partial<ReleaseRecord> = {}): ReleaseRecord {
  return {
    id,
    state,
    definition: sampleDefinition(),
    dir: `/builds/${id}`,
    snapshot: `/snapshots/${id}`,
    digest: "d".repeat(64),
    intent: { then: "promote" },
    gatePassed: false,
    formats: NO_FORMATS,
    allowStateLoss: false,
    deployedBy: "operator",
    createdAtMs: 0,
    currentAtMs: 0,
    nextOrdinal: 1,
    preparation: null,
    restart: null,
    ...given,
  };
}

export function sampleService(releases: readonly ReleaseRecord[], given: Partial<ServiceRecord> = {}): ServiceRecord {
  return { name: "rooms", definition: sampleDefinition(), releases, ...given };
}

export function sampleInstance(id: string, state: InstanceState, given: Partial<Instance> = {}): Instance {
  return {
    id,
    service: "rooms",
    release: "v1",
    host: "127.0.0.1",
    port: 4001,
    pid: 17,
    logFile: `/logs/${id}.log`,
    state,
    startedAtMs: 0,
    readyAtMs: 0,
    ...given,
  };
}

export function routedInstance(id: string, capacity: number | null = null): RoutedInstance {
  return { id, host: "127.0.0.1", port: 4001, capacity, admission: "new", ending: null };
}

export function routedRelease(id: string, given: Partial<RoutedRelease> = {}): RoutedRelease {
  return {
    id,
    admission: "new",
    percent: 100,
    ending: null,
    lingerMs: 60_000,
    deadlineMs: null,
    wedged: null,
    instances: [routedInstance(`rooms-${id}-1`)],
    ...given,
  };
}

export function routedService(releases: RoutedRelease[], given: Partial<RoutedService> = {}): RoutedService {
  return {
    name: "rooms",
    hosts: [],
    path: "/",
    key: [],
    label: null,
    disconnects: { atOnce: 0.05, periodMs: 1000 },
    lingerMs: 60_000,
    connectionAge: null,
    releases,
    ...given,
  };
}

/** Every state a release can be in, entered at `sinceMs`. */
export function everyReleaseState(sinceMs: number): Record<ReleaseStateName, ReleaseState> {
  return {
    starting: { name: "starting", sinceMs },
    ready: { name: "ready", sinceMs },
    ramping: { name: "ramping", sinceMs, percent: 10 },
    current: { name: "current", sinceMs },
    retained: { name: "retained", sinceMs, live: 0, deadlineMs: null },
    expiring: { name: "expiring", sinceMs, graceUntilMs: sinceMs + 1000 },
    retired: { name: "retired", sinceMs },
    failed: { name: "failed", sinceMs, failure: { code: "GATE_FAILED", problem: "no", log: [] } },
  };
}

/** The code that a call fails with; fails itself when the call does not throw a HoldoverError. */
export function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown) return String(thrown.code);
    throw thrown;
  }
  throw new Error("nothing was thrown");
}
