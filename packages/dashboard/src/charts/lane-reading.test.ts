import type { ForecastView, ServiceView, TimelineView } from "@holdover/control/api";
import { describe, expect, it } from "vitest";
import { laneLayout } from "./lane-layout.ts";
import { readingAt, summaryText } from "./lane-reading.ts";
import { releaseView, retentionView } from "./release-fixture.ts";

const NOW = new Date(2026, 10, 25, 14, 0).getTime();
const MINUTE_MS = 60_000;

const timeline: TimelineView = {
  service: "rooms",
  nowMs: NOW,
  fromMs: NOW - 3 * MINUTE_MS,
  stepMs: MINUTE_MS,
  moments: 4,
  lanes: [
    { release: "v1", sessions: [7, 5, null, 4] },
    { release: "v2", sessions: [0, 2, null, 1200] },
  ],
  marks: [
    { atMs: NOW - 2 * MINUTE_MS, seq: 8, kind: "release.current", release: "v2", actor: "api:ci", reason: "deploy" },
  ],
};
const live = (open: number) => ({ open, lingering: 0, connections: open, wedged: 0 });
const service: ServiceView = {
  name: "rooms",
  hosts: [],
  path: "/",
  current: "v2",
  sessions: live(1204),
  releases: [
    releaseView({
      id: "v1",
      state: "retained",
      sessions: live(4),
      currentAtMs: NOW - 100 * MINUTE_MS,
      retention: retentionView({
        deadlineMs: NOW + 60 * MINUTE_MS,
        wouldCut: 0.42,
        retires: {
          lowMs: NOW + 10 * MINUTE_MS,
          medianMs: NOW + 20 * MINUTE_MS,
          highMs: NOW + 40 * MINUTE_MS,
          known: true,
        },
      }),
    }),
    releaseView({ id: "v2", state: "current", sessions: live(1200), currentAtMs: NOW - 2 * MINUTE_MS }),
  ],
};
const forecasts = [
  {
    release: "v1",
    left: [
      { atMs: NOW, low: 4, median: 4, high: 4 },
      { atMs: NOW + 20 * MINUTE_MS, low: 0, median: 0, high: 2 },
      { atMs: NOW + 40 * MINUTE_MS, low: 0, median: 0, high: 0 },
    ],
  } as Partial<ForecastView> as ForecastView,
];
const layout = laneLayout({ timeline, service, forecasts, rangeMs: 900_000, nowMs: NOW, anchorMs: NOW, width: 1000 });
const read = (afterMinutes: number, told = forecasts) => {
  const { title, events, rows } = readingAt(NOW + afterMinutes * MINUTE_MS, {
    timeline,
    forecasts: told,
    layout,
    nowMs: NOW,
  });
  return { title, events, rows: rows.map(({ release, text }) => `${release} ${text}`) };
};

describe("what is read off the lanes", () => {
  it("is what each release had at the nearest moment, with what happened then", () => {
    expect(read(-1.8)).toEqual({
      title: "13:58:12",
      events: [],
      rows: ["v2 2", "v1 5"],
    });
    expect(read(-2).events).toEqual(["v2 takes over from v1: new sessions start on it"]);
    expect(read(0).rows).toEqual(["v2 1,200", "v1 4"]);
  });

  it("leaves out who had nothing, and does not take what is not known for nothing", () => {
    expect(read(-3).rows).toEqual(["v1 7"]);
    expect(read(-1).rows).toEqual(["v2 not known", "v1 not known"]);
    expect(read(-30).rows).toEqual([]);
  });

  it("is ahead of now what the forecast says, with its interval, of retained releases alone", () => {
    expect(read(10)).toEqual({ title: "14:10, in 10m", events: [], rows: ["v1 2 (2 to 3)"] });
    expect(read(50).rows).toEqual(["v1 0"]);
    expect(read(10, []).rows).toEqual([]);
  });

  it("tells of the ends ahead where they are", () => {
    expect(read(20).events).toEqual(["v1 is expected to have retired: 14:20"]);
    expect(read(60).events).toEqual(["Deadline of v1: 15:00, would cut 0.4"]);
  });
});

describe("the summary of the lanes", () => {
  it("says of each release what it is, how many sessions it has and when it will have retired", () => {
    expect(summaryText(service, timeline, 900_000)).toBe(
      "Live sessions of rooms by release over the last 15m. v2 is current with 1,200 live sessions. " +
        "v1 is retained with 4 live sessions, expected to have retired at 14:20, in 8 of 10 cases between 14:10 and 14:40. " +
        "In this time: 1 cutover.",
    );
  });

  it("says what nobody knows", () => {
    const releases = [
      releaseView({ id: "v1", state: "retained", sessions: null, retention: retentionView({}) }),
      releaseView({ id: "v0", state: "retired" }),
    ];
    expect(summaryText({ ...service, releases }, { ...timeline, marks: [] }, 900_000)).toBe(
      "Live sessions of rooms by release over the last 15m. v1 is retained with an unknown number of live sessions, " +
        "and nobody can tell when it will have retired. No release came or went.",
    );
  });
});
