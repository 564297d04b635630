import type { ReleaseView } from "@holdover/control/api";

/** A release as the API tells it; what is of no matter to whoever asks is filled in. */
export function releaseView(told: Partial<ReleaseView> & Pick<ReleaseView, "id" | "state">): ReleaseView {
  return {
    service: "rooms",
    sinceMs: 0,
    createdAtMs: 0,
    currentAtMs: 0,
    admission: "none",
    percent: 0,
    then: "promote",
    dir: "/srv/rooms",
    digest: null,
    instancesWanted: 1,
    instances: [],
    sessions: { open: 0, lingering: 0, connections: 0, wedged: 0 },
    lingerMs: 60_000,
    preparation: null,
    restart: null,
    retention: null,
    problem: null,
    failure: null,
    ...told,
  };
}

export type Retention = NonNullable<ReleaseView["retention"]>;

export function retentionView(told: Partial<Retention>): Retention {
  return {
    policy: "budget",
    rule: "budget",
    deadlineMs: null,
    hardStopMs: null,
    floorUntilMs: 0,
    fromSessions: 0,
    wouldCut: null,
    retires: null,
    why: "",
    ...told,
  };
}
