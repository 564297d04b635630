import type {
  AgesView,
  ForecastView,
  LengthsDetailView,
  ReleaseView,
  ServiceView,
  TimelineView,
} from "@holdover/control/api";

/** Made-up services in the situations that the pictures have to stand. */
export interface Situation {
  readonly name: string;
  readonly service: ServiceView;
  readonly timeline: (nowMs: number, rangeMs: number) => TimelineView;
  readonly forecasts: (nowMs: number) => ForecastView[];
}

const MIN = 60_000;
const HOUR = 60 * MIN;
const START = Date.now();

function rng(seed: number) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Made {
  id: string;
  state: ReleaseView["state"];
  /** Sessions at an age relative to START, ms (negative is past). */
  count: (atMs: number) => number | null;
  currentAt?: number;
  retires?: [number, number, number] | null;
  deadline?: number | null;
  hardStop?: number | null;
  wouldCut?: number;
  percent?: number;
  unknownNow?: boolean;
  wedged?: number;
}

function releaseOf(service: string, m: Made): ReleaseView {
  const n = m.unknownNow ? null : Math.max(0, m.count(0) ?? 0);
  const retained = m.state === "retained" || m.state === "expiring";
  return {
    id: m.id,
    service,
    state: m.state,
    sinceMs: START - HOUR,
    createdAtMs: START - HOUR,
    currentAtMs: m.currentAt === undefined ? 0 : START + m.currentAt,
    admission: m.state === "current" || m.state === "ramping" ? "new" : retained ? "existing" : "none",
    percent: m.percent ?? (m.state === "current" ? 100 : 0),
    then: "promote",
    dir: "/srv/x",
    digest: null,
    instancesWanted: 2,
    instances: [],
    sessions: n === null ? null : { open: n, lingering: 0, connections: n, wedged: m.wedged ?? 0 },
    lingerMs: 60_000,
    preparation: null,
    restart: null,
    retention: retained
      ? {
          policy: "budget",
          rule: m.state === "expiring" ? "grace" : "budget",
          deadlineMs: m.deadline == null ? null : START + m.deadline,
          hardStopMs: m.hardStop == null ? null : START + m.hardStop,
          floorUntilMs: START,
          fromSessions: 812,
          wouldCut: m.wouldCut ?? 0,
          retires: m.retires
            ? { lowMs: START + m.retires[0], medianMs: START + m.retires[1], highMs: START + m.retires[2], known: true }
            : null,
          why: "keeps until the last session ends",
        }
      : null,
    problem: null,
    failure: null,
  };
}

function make(
  name: string,
  releases: Made[],
  marks: { at: number; kind: TimelineView["marks"][number]["kind"]; release: string; reason?: string }[],
  gaps: [number, number][] = [],
): Situation {
  const service: ServiceView = {
    name: "rooms",
    hosts: [],
    path: "/",
    current: releases.find(({ state }) => state === "current")?.id ?? null,
    sessions: null,
    releases: releases.map((m) => releaseOf("rooms", m)),
  };
  return {
    name,
    service,
    timeline: (nowMs, rangeMs) => {
      const moments = 300;
      const stepMs = rangeMs / (moments - 1);
      const fromMs = nowMs - rangeMs;
      const at = Array.from({ length: moments }, (_, i) => fromMs + i * stepMs - START);
      return {
        service: "rooms",
        nowMs,
        fromMs,
        stepMs,
        moments,
        lanes: releases
          .map((m) => ({
            release: m.id,
            sessions: at.map((t) => {
              if (gaps.some(([a, b]) => t >= a && t <= b)) return null;
              const n = m.count(t);
              return n === null ? null : Math.max(0, Math.round(n));
            }),
          }))
          .filter(
            ({ release, sessions }) =>
              sessions.some((s) => s !== 0) || releases.find((m) => m.id === release)!.state !== "retired",
          ),
        marks: marks
          .filter(({ at }) => START + at >= fromMs)
          .map(({ at, kind, release, reason }, seq) => ({
            atMs: START + at,
            seq: seq + 10,
            kind,
            release,
            actor: "api:ci",
            reason: reason ?? "deploy",
          })),
      };
    },
    forecasts: () =>
      releases.flatMap((m): ForecastView[] => {
        if (m.state !== "retained" && m.state !== "expiring") return [];
        const view = releaseOf("rooms", m);
        const n = m.count(0) ?? 0;
        const points = 40;
        const end = m.retires ? m.retires[2] * 1.1 : 0;
        return [
          {
            service: "rooms",
            release: m.id,
            state: m.state,
            nowMs: START,
            sessions: n,
            lengths: { known: true, ends: 812, why: "", medianMs: 400_000, p95Ms: 4_000_000 },
            trials: 20,
            retention: view.retention,
            retires: view.retention?.retires ?? null,
            left: m.retires
              ? Array.from({ length: points + 1 }, (_, i) => {
                  const t = end * (i / points) ** 2;
                  const f = (tail: number) =>
                    n * Math.max(0, Math.exp((-Math.log(Math.max(2, n * 2)) * t) / tail) - 0.5 / Math.max(1, n));
                  return { atMs: START + t, low: f(m.retires![0]), median: f(m.retires![1]), high: f(m.retires![2]) };
                })
              : null,
          },
        ];
      }),
  };
}

/** Rises after `from` towards `level`, falls from `until` with a half-life. */
function life(seed: number, from: number, until: number, level: number, halfMs: number, riseMs = 6 * MIN) {
  const random = rng(seed);
  const phase = random() * 6;
  return (t: number): number => {
    if (t < from) return 0;
    const up = level * (1 - Math.exp(-(Math.min(t, until) - from) / riseMs));
    const wobble = 1 + 0.07 * Math.sin(t / (3 * MIN) + phase) + 0.04 * Math.sin(t / 41_000 + phase);
    if (t <= until) return Math.round(up * wobble);
    const left = up * 2 ** (-(t - until) / halfMs);
    return left < 0.6 ? 0 : Math.round(left);
  };
}

const V = (n: number) => `2026.11.${n}-a${(n * 7919).toString(16)}`;

export const SITUATIONS: Situation[] = [
  make("nothing yet", [], []),
  make(
    "one release",
    [{ id: "v1", state: "current", count: life(1, -40 * MIN, HOUR, 120, HOUR), currentAt: -40 * MIN }],
    [
      { at: -41 * MIN, kind: "release.starting", release: "v1" },
      { at: -40 * MIN, kind: "release.current", release: "v1" },
    ],
  ),
  make(
    "mid-deploy",
    [
      { id: "v40", state: "retired", count: life(2, -3 * HOUR, -50 * MIN, 90, 4 * MIN), currentAt: -3 * HOUR },
      {
        id: "v41",
        state: "retained",
        count: life(3, -50 * MIN, -11 * MIN, 130, 7 * MIN),
        currentAt: -50 * MIN,
        retires: [9 * MIN, 16 * MIN, 31 * MIN],
        deadline: 26 * MIN,
        hardStop: 24 * HOUR - 11 * MIN,
        wedged: 2,
        wouldCut: 1.4,
      },
      { id: "v42", state: "current", count: life(4, -11 * MIN, HOUR, 150, HOUR), currentAt: -11 * MIN },
      { id: "v43-rc", state: "ramping", percent: 10, count: life(5, -3 * MIN, HOUR, 14, HOUR) },
    ],
    [
      { at: -51 * MIN, kind: "release.starting", release: "v41" },
      { at: -50 * MIN, kind: "release.current", release: "v41" },
      { at: -19 * MIN, kind: "release.retired", release: "v40" },
      { at: -12 * MIN, kind: "release.starting", release: "v42" },
      { at: -11 * MIN, kind: "release.current", release: "v42" },
      { at: -4 * MIN, kind: "release.starting", release: "v43-rc" },
      { at: -3 * MIN, kind: "release.ramping", release: "v43-rc" },
    ],
  ),
  make(
    "rollback",
    [
      {
        id: "v7",
        state: "current",
        count: (t) => life(6, -3 * HOUR, -26 * MIN, 60, 25 * MIN)(t) + life(8, -14 * MIN, HOUR, 40, HOUR)(t),
        currentAt: -14 * MIN,
      },
      {
        id: "v8",
        state: "expiring",
        count: life(7, -26 * MIN, -14 * MIN, 48, 5 * MIN),
        currentAt: -26 * MIN,
        retires: [1 * MIN, 3 * MIN, 5 * MIN],
        deadline: 5 * MIN,
        hardStop: 5 * MIN,
        wouldCut: 3,
      },
      { id: "v9", state: "failed", count: () => 0 },
    ],
    [
      { at: -27 * MIN, kind: "release.starting", release: "v8" },
      { at: -26 * MIN, kind: "release.current", release: "v8" },
      { at: -14 * MIN, kind: "release.current", release: "v7", reason: "errors in the consent step" },
      { at: -14 * MIN, kind: "release.rolled-back", release: "v7", reason: "errors in the consent step" },
      { at: -6 * MIN, kind: "release.starting", release: "v9" },
      { at: -5 * MIN, kind: "release.failed", release: "v9" },
      { at: -1 * MIN, kind: "release.expiring", release: "v8" },
    ],
  ),
  make(
    "gap",
    [
      {
        id: "v1",
        state: "retained",
        count: life(9, -2 * HOUR, -30 * MIN, 70, 20 * MIN),
        currentAt: -2 * HOUR,
        retires: null,
        deadline: 40 * MIN,
        hardStop: 23 * HOUR,
        unknownNow: true,
      },
      {
        id: "v2",
        state: "current",
        count: life(10, -30 * MIN, HOUR, 80, HOUR),
        currentAt: -30 * MIN,
        unknownNow: true,
      },
    ],
    [
      { at: -31 * MIN, kind: "release.starting", release: "v2" },
      { at: -30 * MIN, kind: "release.current", release: "v2" },
    ],
    [
      [-40 * MIN, -34 * MIN],
      [-1.2 * MIN, 10 * MIN],
    ],
  ),
  make(
    "heavy tail",
    [
      {
        id: "x".repeat(200),
        state: "retained",
        count: life(11, -5 * HOUR, -2 * HOUR, 1300, 35 * MIN),
        currentAt: -5 * HOUR,
        retires: [2 * HOUR, 9 * HOUR, 60 * HOUR],
        deadline: 22 * HOUR,
        hardStop: 22 * HOUR,
        wouldCut: 6.2,
      },
      {
        id: V(24),
        state: "retained",
        count: life(12, -2 * HOUR, -20 * MIN, 2100, 11 * MIN),
        currentAt: -2 * HOUR,
        retires: [40 * MIN, 2 * HOUR, 7 * HOUR],
        deadline: 23.6 * HOUR,
        hardStop: 23.6 * HOUR,
        wouldCut: 0.4,
      },
      { id: V(25), state: "current", count: life(13, -20 * MIN, HOUR, 2600, HOUR), currentAt: -20 * MIN },
    ],
    [
      { at: -2 * HOUR, kind: "release.current", release: V(24) },
      { at: -20 * MIN, kind: "release.current", release: V(25) },
    ],
  ),
  (() => {
    const releases: Made[] = [];
    const marks: Parameters<typeof make>[2] = [];
    for (let n = 1; n <= 50; n++) {
      const from = -(51 - n) * 55 * MIN;
      const until = n === 50 ? HOUR : from + 55 * MIN;
      const heavy = n % 9 === 0;
      const count = life(n, from, until, 300 + 40 * Math.sin(n), heavy ? 5 * HOUR : 18 * MIN);
      const live = count(0) > 0;
      releases.push({
        id: `r${n}`,
        state: n === 50 ? "current" : live ? "retained" : "retired",
        count,
        currentAt: from,
        retires: live && n < 50 ? [20 * MIN * (1 + (n % 4)), HOUR * (1 + (n % 3)), 3 * HOUR * (1 + (n % 3))] : null,
        deadline: 9 * HOUR + n * 20 * MIN,
        hardStop: 12 * HOUR + n * 20 * MIN,
      });
      marks.push({ at: from - MIN, kind: "release.starting", release: `r${n}` });
      marks.push({ at: from, kind: "release.current", release: `r${n}` });
    }
    marks.sort((a, b) => a.at - b.at);
    return make("50 releases", releases, marks);
  })(),
  (() => {
    const releases: Made[] = [];
    for (let n = 1; n <= 50; n++) {
      releases.push({
        id: `r${n}`,
        state: n === 50 ? "current" : "retained",
        count: life(n, -(51 - n) * 70_000, n === 50 ? HOUR : -(50 - n) * 70_000, 60, 40 * MIN, MIN),
        currentAt: -(51 - n) * 70_000,
        retires: n < 50 ? [20 * MIN * (1 + (n % 4)), HOUR * (1 + (n % 3)), 3 * HOUR * (1 + (n % 3))] : null,
        deadline: 9 * HOUR + n * 20 * MIN,
        hardStop: 12 * HOUR + n * 20 * MIN,
      });
    }
    return make(
      "50 live",
      releases,
      releases.map(({ id, currentAt }) => ({ at: currentAt!, kind: "release.current" as const, release: id })),
    );
  })(),
];

/** Lengths of a mixture of short chats and long calls, as the API would tell them. */
export function madeLengths(releases: ServiceView["releases"], nowMs: number): LengthsDetailView {
  const share = (ms: number) => 0.7 * Math.exp(-ms / (4 * MIN)) + 0.3 / (1 + (ms / (30 * MIN)) ** 1.8);
  const quantile = (of: (ms: number) => number, p: number) => {
    let [low, high] = [1000, 40 * 24 * HOUR];
    for (let i = 0; i < 60; i++)
      [low, high] = of((low + high) / 2) > p ? [(low + high) / 2, high] : [low, (low + high) / 2];
    return high;
  };
  const grid = Array.from({ length: 80 }, (_, i) => 2000 * 1.18 ** i).filter((ms) => ms < 2 * 24 * HOUR);
  const quantiles = (of: (ms: number) => number) => ({
    p50Ms: quantile(of, 0.5),
    p95Ms: quantile(of, 0.05),
    p99Ms: quantile(of, 0.01),
  });
  const live = releases.filter(({ sessions }) => sessions && sessions.open > 0);
  return {
    service: "rooms",
    nowMs,
    known: true,
    ends: 812,
    why: "from the last 812 ended sessions",
    ...quantiles(share),
    curve: grid.map((ageMs) => ({ ageMs, share: share(ageMs) })),
    days: Array.from({ length: 14 }, (_, day) => {
      const dayMs = Math.floor(nowMs / (24 * HOUR)) * 24 * HOUR - (13 - day) * 24 * HOUR;
      const f = 1 + 0.25 * Math.sin(day / 2) + day / 30;
      const base = quantiles((ms) => share(ms / f));
      return day === 4 ? { dayMs, ends: 0, p50Ms: null, p95Ms: null, p99Ms: null } : { dayMs, ends: 60 + day, ...base };
    }),
    residual: live.map(({ id, sessions }, index) => {
      const age = (live.length - index) * 12 * MIN;
      const of = (ms: number) => share(ms + age) / share(age);
      const curve = grid.map((afterMs) => ({ afterMs, share: of(afterMs) }));
      return Object.assign({ release: id, sessions: sessions?.open ?? 0, known: index !== 0, curve }, quantiles(of));
    }),
  };
}

export function madeAges(releases: ServiceView["releases"], nowMs: number): AgesView {
  return {
    service: "rooms",
    nowMs,
    endsMs: [60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000],
    releases: releases.map(({ id, state, sessions }, index) => {
      const old = state === "current" ? 0 : 2;
      const weights = Array.from({ length: 7 }, (_, bin) =>
        Math.exp(-((bin - 1.5 - old - (index % 3) / 2) ** 2) / 2.4),
      );
      const sum = weights.reduce((a, b) => a + b, 0);
      return {
        release: id,
        state,
        open: weights.map((w) => Math.round((w / sum) * (sessions?.open ?? 0))),
        lingering: Math.round((sessions?.open ?? 0) / 20),
      };
    }),
  };
}
