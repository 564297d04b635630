/** How a process ended. */
export interface InstanceExit {
  readonly atMs: number;
  /** Exit code; null where a signal ended it or where it is not known (an adopted process is no child). */
  readonly code: number | null;
  readonly signal: string | null;
  /** Code of the error table: INSTANCE_EXITED, INSTANCE_UNHEALTHY; null for a stop that was asked for. */
  readonly error: string | null;
  readonly problem: string;
}

/** The life of an instance (DESIGN, States). */
export type InstanceState =
  | { readonly name: "starting"; readonly sinceMs: number }
  | { readonly name: "ready"; readonly sinceMs: number }
  | { readonly name: "draining"; readonly sinceMs: number }
  | { readonly name: "stopped"; readonly sinceMs: number; readonly exit: InstanceExit }
  | { readonly name: "lost"; readonly sinceMs: number; readonly exit: InstanceExit };

export type InstanceStateName = InstanceState["name"];

/** One running process of a release, as its platform sees it. */
export interface Instance {
  /** See {@link instanceId}. */
  readonly id: string;
  readonly service: string;
  readonly release: string;
  readonly host: string;
  readonly port: number;
  readonly pid: number | null;
  readonly logFile: string;
  readonly state: InstanceState;
  readonly startedAtMs: number;
  /** When it first was healthy; 0 for never. */
  readonly readyAtMs: number;
}

const ALLOWED: Record<InstanceStateName, readonly InstanceStateName[]> = {
  starting: ["ready", "draining", "lost"],
  ready: ["draining", "lost"],
  draining: ["stopped", "lost"],
  stopped: [],
  lost: [],
};

/** @throws Error where the states of DESIGN do not have this step */
export function toInstanceState(instance: Instance, to: InstanceState): Instance {
  if (!ALLOWED[instance.state.name].includes(to.name)) {
    throw new Error(`instance ${instance.id} is ${instance.state.name} and cannot become ${to.name}`);
  }
  return { ...instance, state: to, readyAtMs: to.name === "ready" ? to.sinceMs : instance.readyAtMs };
}

/**
 * The id of an instance, unique for ever within a Holdover: `rooms.v1-3`. No service name has a dot and no ordinal a
 * dash, so that no two triples give the same id.
 */
export function instanceId(service: string, release: string, ordinal: number): string {
  return `${service}.${release}-${ordinal}`;
}

/** Whether a process may still be behind it. */
export function isAlive(instance: Instance): boolean {
  return instance.state.name !== "stopped" && instance.state.name !== "lost";
}

/** What a platform needs to start an instance. */
export interface InstanceSpec {
  readonly id: string;
  readonly service: string;
  readonly release: string;
  /** Absolute path of the release's snapshot: the working directory. */
  readonly snapshot: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly health: {
    /** Its worker's word is its health, and nobody asks its port. */
    readonly worker?: boolean | undefined;
    readonly path?: string | undefined;
    readonly startTimeout: number;
    readonly interval: number;
    readonly timeout: number;
  };
}
