import { serviceDefinition, type ServiceDefinition } from "@holdover/core";
import type { Declared } from "./schedule.ts";

export function nameOf(service: number): string {
  return service === 0 ? "rooms" : `rooms-${service + 1}`;
}

/** As holdover.yaml would have it. */
export function inputOf(index: number, declared: Declared, dir: string) {
  return {
    path: index === 0 ? "/" : `/${index}`,
    dir,
    command: ["serve"],
    instances: declared.instances,
    ...(declared.capacity === null ? {} : { capacity: declared.capacity }),
    session: { key: [{ query: "room" }], linger: `${declared.lingerMs}ms` },
    health: { startTimeout: "800ms" },
    ...(declared.gate ? { gate: { command: ["check"] } } : {}),
    retention: declared.retention,
    disconnects: { atOnce: declared.disconnects.atOnce, period: `${declared.disconnects.periodMs}ms` },
    ...(declared.maxConnectionAge === null
      ? {}
      : {
          maxConnectionAge: `${declared.maxConnectionAge.maxMs}ms`,
          connectionAgeGrace: `${declared.maxConnectionAge.graceMs}ms`,
        }),
    stopGrace: "1s",
  };
}

export function definitionOf(index: number, declared: Declared, dir: string): ServiceDefinition {
  return serviceDefinition.parse(inputOf(index, declared, dir));
}
