import { isOver, type AgeBins, type ServiceRecord, type SessionAges } from "@holdover/core";
import { AGE_BIN_ENDS_MS, type AgesView } from "./api/timeline-views.ts";

/** How old the open sessions of each release are that is not over, in bins for people. */
export function agesView(service: ServiceRecord, ages: SessionAges): AgesView {
  return {
    service: service.name,
    nowMs: ages.atMs,
    endsMs: [...AGE_BIN_ENDS_MS],
    releases: service.releases
      .filter((release) => !isOver(release))
      .map(({ id, state }) => {
        const own = ages.groups.filter(({ release }) => release === id);
        return {
          release: id,
          state: state.name,
          open: binned(own.map(({ open }) => open)),
          lingering: own.reduce((sum, { lingering }) => sum + lingering.sessions, 0),
        };
      }),
  };
}

function binned(ages: readonly AgeBins[]): number[] {
  const bins = Array<number>(AGE_BIN_ENDS_MS.length + 1).fill(0);
  for (const { ageMs, count } of ages) {
    for (const [index, age] of ageMs.entries()) {
      const end = AGE_BIN_ENDS_MS.findIndex((endMs) => age < endMs);
      const bin = end === -1 ? AGE_BIN_ENDS_MS.length : end;
      bins[bin] = (bins[bin] ?? 0) + (count[index] ?? 0);
    }
  }
  return bins;
}
