import {
  failed,
  NO_FORMATS,
  retained,
  retired,
  serviceDefinition,
  type Instance,
  type ReleaseRecord,
} from "@holdover/core";
import { expect, test } from "vitest";
import type { Builds } from "./builds.ts";
import { newRelease, withoutOldest } from "./new-release.ts";

const definition = serviceDefinition.parse({ command: "serve" });
const promote = { then: "promote" } as const;

const release = (id: string, state: ReleaseRecord["state"], snapshot: string | null = null): ReleaseRecord => ({
  id,
  state,
  definition,
  dir: "/build",
  snapshot,
  digest: "sha256:1",
  intent: promote,
  gatePassed: true,
  formats: NO_FORMATS,
  allowStateLoss: true,
  deployedBy: "operator",
  createdAtMs: 0,
  currentAtMs: 1,
  preparation: null,
  restart: null,
  nextOrdinal: 7,
});

const instance = (id: string, of: string): Instance => ({
  id,
  service: "rooms",
  release: of,
  host: "127.0.0.1",
  port: 4001,
  pid: 7,
  logFile: "/log",
  state: { name: "draining", sinceMs: 1 },
  startedAtMs: 1,
  readyAtMs: 1,
});

test("of releases that are over the last fifty stay, and every one that still runs or has something on the disk", () => {
  const over = Array.from({ length: 60 }, (_, age) => release(`r${age}`, retired(1000 - age)));
  const releases = [
    release("old", retained(1, null)),
    release("kept", retired(2), "/snapshots/kept"),
    release("stopping", failed(3, { code: "GATE_FAILED", problem: "no", log: [] })),
    ...over,
  ];
  const left = withoutOldest({ name: "rooms", definition, releases }, [instance("rooms.stopping-1", "stopping")]);
  expect(left.releases.map(({ id }) => id)).toEqual([
    "old",
    "kept",
    "stopping",
    ...over.slice(0, 50).map(({ id }) => id),
  ]);
});

test("an id whose record was dropped counts its instances on from those that are remembered", async () => {
  const made = await newRelease({
    service: { name: "rooms", definition, releases: [] },
    request: { release: "v1", dir: "/build", then: promote },
    actor: "operator",
    nowMs: 5,
    instances: [instance("rooms.v1-9", "v1"), instance("rooms.v1-12", "v1"), instance("rooms.v1-1-30", "v1-1")],
    builds: { check: async () => {} } as Partial<Builds> as Builds,
  });
  expect(made.nextOrdinal).toBe(13);
});
