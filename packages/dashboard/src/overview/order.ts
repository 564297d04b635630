import type { ReleaseView } from "@holdover/control/api";

const RANK: Readonly<Record<ReleaseView["state"], number>> = {
  current: 0,
  ramping: 1,
  ready: 2,
  starting: 3,
  retained: 4,
  expiring: 5,
  failed: 6,
  retired: 7,
};

/**
 * The releases as they are shown: what takes new sessions, what is to come, what finishes; and apart from them what is
 * over, newest first. A release that failed last is not over for whoever waits for it.
 * @param releases oldest first
 */
export function inOrder(releases: readonly ReleaseView[]): { live: ReleaseView[]; over: ReleaseView[] } {
  const newest = releases.at(-1);
  const isOver = (release: ReleaseView): boolean =>
    release.instances.length === 0 &&
    (release.state === "retired" || (release.state === "failed" && release !== newest));
  return {
    live: releases
      .filter((release) => !isOver(release))
      .toReversed()
      .toSorted((a, b) => RANK[a.state] - RANK[b.state]),
    over: releases.filter(isOver).toReversed(),
  };
}
