import type { AgesView, LengthsDetailView, ServiceView } from "@holdover/control/api";
import { HOUR, MINUTE } from "./made-service.ts";

const DAY = 24 * HOUR;
const GRID_MS = Array.from({ length: 80 }, (_, index) => 2000 * 1.17 ** index);

/** Many short chats and some long calls: the share of them that last longer than an age. */
const share = (ms: number) => 0.7 * Math.exp(-ms / (4 * MINUTE)) + 0.3 / (1 + (ms / (30 * MINUTE)) ** 1.8);

export function madeLengths({ releases }: ServiceView, nowMs: number): LengthsDetailView {
  const live = releases.filter(({ sessions }) => sessions && sessions.open > 0);
  return {
    service: "rooms",
    nowMs,
    known: live.length > 0,
    ends: 812,
    why: "fewer than 20 sessions have ended",
    ...quantilesOf(share),
    curve: GRID_MS.map((ageMs) => ({ ageMs, share: share(ageMs) })),
    days: Array.from({ length: 14 }, (_, day) => {
      const slower = 1 + 0.25 * Math.sin(day / 2) + day / 30;
      const quantiles = day === 4 ? { p50Ms: null, p95Ms: null, p99Ms: null } : quantilesOf((ms) => share(ms / slower));
      return Object.assign({ dayMs: (Math.floor(nowMs / DAY) - 13 + day) * DAY, ends: day === 4 ? 0 : 60 }, quantiles);
    }),
    residual: live.map(({ id, sessions }, index) => {
      const ageMs = (live.length - index) * 12 * MINUTE;
      const longer = (ms: number) => share(ms + ageMs) / share(ageMs);
      const curve = GRID_MS.map((afterMs) => ({ afterMs, share: longer(afterMs) }));
      const told = { release: id, sessions: sessions?.open ?? 0, known: index > 0, curve };
      return Object.assign(told, quantilesOf(longer));
    }),
  };
}

function quantilesOf(shareOf: (ms: number) => number) {
  const at = (left: number) => {
    let [low, high] = [0, 100 * DAY];
    while (high - low > 1000) {
      const middle = (low + high) / 2;
      if (shareOf(middle) > left) low = middle;
      else high = middle;
    }
    return high;
  };
  return { p50Ms: at(0.5), p95Ms: at(0.05), p99Ms: at(0.01) };
}

export function madeAges({ releases }: ServiceView, nowMs: number): AgesView {
  return {
    service: "rooms",
    nowMs,
    endsMs: [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, DAY],
    releases: releases.map(({ id, state, sessions }, index) => {
      const middle = 1.5 + (state === "current" ? 0 : 2) + (index % 3) / 2;
      const weights = Array.from({ length: 7 }, (_, bin) => Math.exp(-((bin - middle) ** 2) / 2.4));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const open = sessions?.open ?? 0;
      return {
        release: id,
        state,
        open: weights.map((weight) => Math.round((weight / total) * open)),
        lingering: Math.round(open / 20),
      };
    }),
  };
}
