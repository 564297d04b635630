import { HOUR, madeService, type MadeMark, type MadeRelease, type MadeService, MINUTE } from "./made-service.ts";

/** What the pictures have to stand. */
export interface Situation extends MadeService {
  readonly name: string;
  readonly rangeMs: 900_000 | 3_600_000 | 21_600_000 | 172_800_000;
}

const COMMON = { rangeMs: 3_600_000 } as const;

export function situations(madeAtMs: number): Situation[] {
  const made = (releases: readonly MadeRelease[], marks: readonly MadeMark[] = [], unknown: [number, number][] = []) =>
    madeService(releases, marks, unknown, madeAtMs);
  return [
    { name: "nothing yet", ...COMMON, ...made([]) },
    { name: "one release", ...COMMON, ...made(...oneRelease) },
    { name: "mid-deploy", ...COMMON, ...made(...midDeploy) },
    { name: "rollback", ...COMMON, ...made(...rollback) },
    { name: "nobody knows", ...COMMON, ...made(...unknown) },
    { name: "heavy tail", rangeMs: 21_600_000, ...made(...heavyTail) },
    { name: "50 releases in two days", rangeMs: 172_800_000, ...made(...fiftyReleases()) },
    { name: "50 live releases", ...COMMON, ...made(...fiftyLive()) },
  ];
}

/**
 * Sessions of a release that takes new ones between two times, grows towards a level, and then only finishes its own.
 * @param rise how fast it grows
 */
function life(from: number, until: number, level: number, halfLife: number, rise = 6 * MINUTE): (at: number) => number {
  return (at) => {
    if (at < from) return 0;
    const grown = level * (1 - Math.exp(-(Math.min(at, until) - from) / rise));
    const uneven = 1 + 0.06 * Math.sin(at / (3 * MINUTE) + level) + 0.04 * Math.sin(at / 41_000 + level);
    if (at <= until) return Math.round(grown * uneven);
    const left = grown * 2 ** (-(at - until) / halfLife);
    return left < 0.6 ? 0 : Math.round(left);
  };
}

const oneRelease = [
  [{ id: "v1", state: "current", sessions: life(-40 * MINUTE, HOUR, 120, HOUR), currentAt: -40 * MINUTE }],
  [
    { at: -41 * MINUTE, kind: "release.starting", release: "v1" },
    { at: -40 * MINUTE, kind: "release.current", release: "v1" },
  ],
] satisfies [MadeRelease[], MadeMark[]];

const midDeploy = [
  [
    { id: "v40", state: "retired", sessions: life(-3 * HOUR, -50 * MINUTE, 90, 4 * MINUTE), currentAt: -3 * HOUR },
    {
      id: "v41",
      state: "retained",
      sessions: life(-50 * MINUTE, -11 * MINUTE, 130, 7 * MINUTE),
      currentAt: -50 * MINUTE,
      halfLife: 6 * MINUTE,
      deadline: 70 * MINUTE,
      hardStop: 24 * HOUR - 11 * MINUTE,
      wouldCut: 0.4,
      wedged: 2,
    },
    { id: "v42", state: "current", sessions: life(-11 * MINUTE, HOUR, 150, HOUR), currentAt: -11 * MINUTE },
    { id: "v43-rc", state: "ramping", percent: 10, sessions: life(-3 * MINUTE, HOUR, 14, HOUR) },
  ],
  [
    { at: -51 * MINUTE, kind: "release.starting", release: "v41" },
    { at: -50 * MINUTE, kind: "release.current", release: "v41" },
    { at: -20 * MINUTE, kind: "release.retired", release: "v40" },
    { at: -12 * MINUTE, kind: "release.starting", release: "v42" },
    { at: -11 * MINUTE, kind: "release.current", release: "v42" },
    { at: -4 * MINUTE, kind: "release.starting", release: "v43-rc" },
    { at: -3 * MINUTE, kind: "release.ramping", release: "v43-rc" },
  ],
] satisfies [MadeRelease[], MadeMark[]];

const beforeRollback = life(-3 * HOUR, -26 * MINUTE, 60, 25 * MINUTE);
const afterRollback = life(-14 * MINUTE, HOUR, 40, HOUR);
const rollback = [
  [
    {
      id: "v7",
      state: "current",
      sessions: (at) => beforeRollback(at) + afterRollback(at),
      currentAt: -14 * MINUTE,
    },
    {
      id: "v8",
      state: "expiring",
      sessions: life(-26 * MINUTE, -14 * MINUTE, 48, 5 * MINUTE),
      currentAt: -26 * MINUTE,
      halfLife: MINUTE,
      deadline: 5 * MINUTE,
      hardStop: 5 * MINUTE,
      wouldCut: 3,
    },
    { id: "v9", state: "failed", sessions: () => 0 },
  ],
  [
    { at: -27 * MINUTE, kind: "release.starting", release: "v8" },
    { at: -26 * MINUTE, kind: "release.current", release: "v8" },
    { at: -14 * MINUTE, kind: "release.current", release: "v7", reason: "errors in the consent step" },
    { at: -14 * MINUTE, kind: "release.rolled-back", release: "v7", reason: "errors in the consent step" },
    { at: -8 * MINUTE, kind: "release.starting", release: "v9" },
    { at: -6 * MINUTE, kind: "release.failed", release: "v9" },
    { at: -MINUTE, kind: "release.expiring", release: "v8" },
  ],
] satisfies [MadeRelease[], MadeMark[]];

const unknown = [
  [
    {
      id: "v1",
      state: "retained",
      sessions: life(-2 * HOUR, -30 * MINUTE, 70, 20 * MINUTE),
      currentAt: -2 * HOUR,
      deadline: 40 * MINUTE,
      hardStop: 23 * HOUR,
    },
    { id: "v2", state: "current", sessions: life(-30 * MINUTE, HOUR, 80, HOUR), currentAt: -30 * MINUTE },
  ],
  [{ at: -30 * MINUTE, kind: "release.current", release: "v2" }],
  [
    [-40 * MINUTE, -34 * MINUTE],
    [-1.2 * MINUTE, HOUR],
  ],
] satisfies [MadeRelease[], MadeMark[], [number, number][]];

const LONG_NAME = `feature-${"x".repeat(192)}`;
const heavyTail = [
  [
    {
      id: LONG_NAME,
      state: "retained",
      sessions: life(-5 * HOUR, -2 * HOUR, 1300, 35 * MINUTE),
      currentAt: -5 * HOUR,
      halfLife: 3 * HOUR,
      deadline: 22 * HOUR,
      hardStop: 22 * HOUR,
      wouldCut: 6.2,
    },
    {
      id: "2026.11.24-a2e668",
      state: "retained",
      sessions: life(-2 * HOUR, -20 * MINUTE, 2100, 11 * MINUTE),
      currentAt: -2 * HOUR,
      halfLife: 20 * MINUTE,
      deadline: 23.6 * HOUR,
      hardStop: 23.6 * HOUR,
    },
    {
      id: "2026.11.25-a30557",
      state: "current",
      sessions: life(-20 * MINUTE, HOUR, 2600, HOUR),
      currentAt: -20 * MINUTE,
    },
  ],
  [
    { at: -2 * HOUR, kind: "release.current", release: "2026.11.24-a2e668" },
    { at: -20 * MINUTE, kind: "release.current", release: "2026.11.25-a30557" },
  ],
] satisfies [MadeRelease[], MadeMark[]];

/** A deploy an hour; now and then a release has sessions that last for hours. */
function fiftyReleases(): [MadeRelease[], MadeMark[]] {
  const releases = Array.from({ length: 50 }, (_, index): MadeRelease => {
    const from = (index - 50) * 55 * MINUTE;
    const isLast = index === 49;
    const halfLife = index % 9 === 8 ? 5 * HOUR : 18 * MINUTE;
    const sessions = life(from, isLast ? HOUR : from + 55 * MINUTE, 300 + 40 * Math.sin(index), halfLife);
    const state = isLast ? "current" : sessions(0) > 0 ? "retained" : "retired";
    const hardStop = 24 * HOUR + from + 24 * HOUR;
    return { id: `r${index + 1}`, state, sessions, currentAt: from, halfLife, deadline: hardStop, hardStop };
  });
  return [releases, cutoversOf(releases)];
}

/** The most that the picture has to stand: nothing is gone, and nothing can be folded. */
function fiftyLive(): [MadeRelease[], MadeMark[]] {
  const releases = Array.from({ length: 50 }, (_, index): MadeRelease => {
    const from = (index - 50) * 70_000;
    const isLast = index === 49;
    return {
      id: `r${index + 1}`,
      state: isLast ? "current" : "retained",
      sessions: life(from, isLast ? HOUR : from + 70_000, 60, 40 * MINUTE, MINUTE),
      currentAt: from,
      halfLife: (20 + index) * MINUTE,
      deadline: 9 * HOUR + index * 20 * MINUTE,
      hardStop: 12 * HOUR + index * 20 * MINUTE,
    };
  });
  return [releases, cutoversOf(releases)];
}

function cutoversOf(releases: readonly MadeRelease[]): MadeMark[] {
  return releases.map(({ id, currentAt = 0 }) => ({ at: currentAt, kind: "release.current", release: id }));
}
