import { asHoldoverError, isAlive, type ServiceRecord } from "@holdover/core";
import type { ControlStore } from "./control-store.ts";
import type { HostStore } from "./host-store.ts";
import type { Host } from "./host.ts";
import type { Processes } from "./processes.ts";
import type { Counted } from "./rules.ts";
import type { Verdict } from "./verdict.ts";

/** What has to be at rest. */
export interface Everything {
  readonly host: Host | null;
  readonly isLinked: boolean;
  readonly clients: number;
  readonly store: HostStore;
  readonly records: ControlStore;
  readonly processes: Processes;
}

/** What is not at rest yet, in words; null when all is. */
export function restless({ host, isLinked, clients, store, records, processes }: Everything): string | null {
  if (!host?.listens() || !isLinked) return "a process or the link is down";
  if (clients > 0) return `${clients} clients are there`;
  const [pin] = store.pins();
  if (pin) return `there is a pin left, of ${pin.key}`;
  if (host.sessions.openCount() > 0 || host.sessions.counts().size > 0) return "the router holds sessions";
  if (store.eventCount() > 0) return "events are on their way to control";
  for (const service of records.services) {
    const moving = movingIn(service, processes);
    if (moving !== null) return moving;
  }
  if (host.sessions.table().number !== records.tableNumber) return "the last table is not in force";
  const strange = records.instances.find((one) => isAlive(one) !== processes.runs(one.id));
  return strange ? `control takes ${strange.id} for ${strange.state.name}` : null;
}

function movingIn({ name, releases }: ServiceRecord, processes: Processes): string | null {
  for (const { id, restart, state } of releases) {
    if (restart) return `${name}/${id} is being restarted`;
    if (!["current", "retired", "failed"].includes(state.name)) return `${name}/${id} is ${state.name}`;
  }
  const current = releases.find(({ state }) => state.name === "current");
  const own = processes.running().filter((one) => one.service === name);
  const stray = own.find((one) => one.release !== current?.id || one.state.name !== "ready");
  if (stray) return `instance ${stray.id} is ${stray.state.name}`;
  const surplus = own.length - (current?.definition.instances ?? 0);
  return surplus !== 0 ? `${name} has ${own.length} instances` : null;
}

/** At the end every session has ended once, all of it is in the history, and the chain is whole. */
export function lookAtEnds(records: ControlStore, { placed, placedAnew, ends }: Counted, verdict: Verdict): void {
  const began = placed - placedAnew;
  if (began !== ends) verdict.break("converges", `${began} sessions began and ${ends} have ended`);
  if (records.ended.length !== ends) {
    verdict.break("converges", `${ends} sessions have ended, and ${records.ended.length} are in the history`);
  }
  try {
    records.verify();
  } catch (thrown) {
    verdict.break("audit", asHoldoverError(thrown).message);
  }
}
