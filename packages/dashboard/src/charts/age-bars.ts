import type { AgesView, ServiceView } from "@holdover/control/api";
import { laneClass } from "../parts/lane.ts";
import { duration } from "../words/figures.ts";

/** The ages of each release's sessions as bars: of the releases that have any, newest first. */
export interface AgeBars {
  readonly release: string;
  readonly colour: string;
  readonly state: string;
  readonly open: number;
  readonly lingering: number;
  /** Open sessions without a byte for long; 0 where nobody looks for them. */
  readonly wedged: number;
  readonly bars: readonly AgeBar[];
}

interface AgeBar {
  readonly label: string;
  readonly sessions: number;
  /** Of the tallest bar of all releases, 0 to 1: bars are shares of their release's open sessions. */
  readonly height: number;
}

export function ageBars({ endsMs, releases }: AgesView, service: Pick<ServiceView, "releases">): AgeBars[] {
  const known = new Map(service.releases.map((release, index) => [release.id, { release, index }]));
  const shown = releases
    .filter(({ open, lingering }) => lingering > 0 || open.some((count) => count > 0))
    .toSorted((a, b) => (known.get(b.release)?.index ?? -1) - (known.get(a.release)?.index ?? -1));
  const total = (open: readonly number[]) => open.reduce((sum, count) => sum + count, 0);
  const tallest = Math.max(0, ...shown.flatMap(({ open }) => open.map((count) => count / Math.max(1, total(open)))));
  return shown.map(({ release, state, open, lingering }) => ({
    release,
    colour: laneClass(service.releases, release),
    state,
    open: total(open),
    lingering,
    wedged: known.get(release)?.release.sessions?.wedged ?? 0,
    bars: open.map((sessions, bin) => ({
      label: binLabel(endsMs, bin),
      sessions,
      height: sessions === 0 ? 0 : sessions / total(open) / tallest,
    })),
  }));
}

/** `<1m`, `1–5m`, `15–60m`, `1d+`. */
function binLabel(endsMs: readonly number[], bin: number): string {
  const [from, to] = [endsMs[bin - 1], endsMs[bin]];
  if (to === undefined) return from === undefined ? "all" : `${duration(from)}+`;
  if (from === undefined) return `<${duration(to)}`;
  const first = duration(from);
  const many = Number.parseInt(first, 10);
  return `${many}–${Math.round((to * many) / from)}${first.slice(String(many).length)}`;
}
