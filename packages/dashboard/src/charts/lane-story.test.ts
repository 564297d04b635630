import type { TimelineView } from "@holdover/control/api";
import { describe, expect, it } from "vitest";
import { admissionsOf } from "./admission.ts";
import { eventText, storyOf } from "./lane-story.ts";
import { releaseView } from "./release-fixture.ts";

type Mark = TimelineView["marks"][number];

const mark = (seq: number, kind: Mark["kind"], release: string): Mark => ({
  seq,
  kind,
  release,
  atMs: seq * 1000,
  actor: "api:ci",
  reason: "deploy",
});
const release = (id: string, currentAtMs: number) => releaseView({ id, state: "retained", currentAtMs });

describe("the story of a service", () => {
  it("tells who handed over to whom", () => {
    const events = storyOf(
      [mark(5, "release.current", "v2"), mark(7, "release.ramping", "v3"), mark(9, "release.current", "v3")],
      [release("v0", 1), release("v1", 2), release("v2", 5000), release("v3", 9000)],
    );
    expect(events.map(({ kind, from, release }) => [kind, from, release])).toEqual([
      ["cutover", "v1", "v2"],
      ["ramping", "v2", "v3"],
      ["cutover", "v2", "v3"],
    ]);
  });

  it("tells a rollback once, and not as a cutover beside it", () => {
    const marks = [
      mark(5, "release.current", "v2"),
      mark(8, "release.current", "v1"),
      mark(9, "release.rolled-back", "v1"),
    ];
    // Of v1 it is only known that it became current last by the rollback.
    const events = storyOf(marks, [release("v0", 1), release("v1", 8000), release("v2", 5000)]);
    expect(events.map((event) => eventText(event))).toEqual([
      "v2 takes over from v1: new sessions start on it",
      "Rolled back from v2 to v1",
    ]);
  });

  it("names nobody where nobody was current before", () => {
    const [event] = storyOf([mark(5, "release.current", "v1")], [release("v1", 5000)]);
    expect(event?.from).toBeUndefined();
  });

  it("goes by the order of the audit log where two things happened in the same millisecond", () => {
    const same = [mark(6, "release.current", "v2"), mark(5, "release.starting", "v2")].map((each) =>
      Object.assign(each, { atMs: 5000 }),
    );
    expect(storyOf(same, []).map(({ kind }) => kind)).toEqual(["starting", "cutover"]);
  });
});

describe("who took new sessions", () => {
  it("is the release that was current, and a ramping one beside it", () => {
    const marks = [
      mark(5, "release.current", "v2"),
      mark(7, "release.ramping", "v3"),
      mark(9, "release.current", "v3"),
      mark(11, "release.current", "v2"),
      mark(12, "release.rolled-back", "v2"),
    ];
    const events = storyOf(marks, [release("v1", 2), release("v2", 11_000), release("v3", 9000)]);
    expect(Object.fromEntries(admissionsOf(events, "v2"))).toEqual({
      v1: [{ fromMs: -Infinity, toMs: 5000 }],
      v2: [
        { fromMs: 5000, toMs: 9000 },
        { fromMs: 12_000, toMs: Infinity },
      ],
      v3: [{ fromMs: 7000, toMs: 12_000 }],
    });
  });

  it("is the current release all along where nothing is handed over", () => {
    expect([...admissionsOf([], "v1")]).toEqual([["v1", [{ fromMs: -Infinity, toMs: Infinity }]]]);
    expect([...admissionsOf([], null)]).toEqual([]);
  });
});
