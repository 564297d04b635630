/** What the numbers and words of the page mean, and where they come from. */
export const MEANINGS = {
  sessions:
    "Live sessions: open ones and lingering ones. Counted by the router and sent to control; a dash means that nobody can count them now, which is not zero.",
  open: "Sessions with a live connection or a job that runs. Counted by the router.",
  lingering:
    "Sessions whose last connection is gone and that keep their place for the linger, so that a reconnect comes back to it. Counted by the router.",
  connections:
    "Connections of these sessions that are open now; several people may share one session. Counted by the router.",
  wedged:
    "Open sessions of a retained release that have moved no byte for long: they look stuck, and may be what keeps the release. Told by the router.",
  liveReleases: "Releases that still have sessions or instances, the current one included.",
  wouldCut:
    "How many sessions the end of the window is expected to end by force, by the forecast of how long live sessions still last. An expectation, so it need not be whole.",
  retires:
    "When the last session of this release will have ended: the median of the forecast, from how long sessions lasted and how old the live ones are.",
  interval: "In 80 of 100 deploys the release has retired between these two times.",
  intervalOpen:
    "The late end rests on lengths that were never seen: some sessions may last longer than any that has ended so far.",
  deadline: "What is left then is asked to move and, after the grace, cut. It is worked out anew as sessions end.",
  hardStop:
    "At this time whatever is still live is ended, whatever the forecast says: the ceiling of the retention policy.",
  floor: "Until then the release is kept warm even when it is empty, so that a rollback needs no start.",
  rule: "Which rule of the retention policy set the deadline, and why. Worked out by control.",
  instances: "Instances that are ready, of those that the release should have. Told by the platform that runs them.",
  admission: "What the release takes, by the routing table in force: new sessions, only those that it has, or none.",
  share:
    "Percent of the new sessions that start on this release. Sessions that live already do not change their place.",
  since: "How long the release has been in this state, by the server's clock.",
  linger: "How long a session without a connection keeps its place on this release.",
  fence: "A number that grows each time the session is placed anew; a write with an older one is refused.",
  age: "Time since the first connection of the session, by the server's clock.",
  matches: "Live sessions that fit the search, counted by the router; the table shows the first of them.",
} as const;

export type ReleaseStateName =
  | "starting"
  | "ready"
  | "ramping"
  | "current"
  | "retained"
  | "expiring"
  | "retired"
  | "failed";

export const STATE_MEANINGS: Readonly<Record<ReleaseStateName, string>> = {
  starting: "Its build is copied, its instances start, and its gate is tried. It has no traffic yet.",
  ready: "Healthy, its gate passed, no traffic yet.",
  ramping: "It takes a share of the new sessions; the current release takes the rest.",
  current: "New sessions start on it.",
  retained: "It takes only its own sessions and lets them finish. A rollback makes it current again with no start.",
  expiring: "Its window is over: what is left is asked to move, paced, then cut at the end of the grace.",
  retired: "It has no session and no instance.",
  failed: "It did not come up. It never had traffic.",
};

export const ADMISSION_WORDS = {
  new: "new sessions",
  existing: "its own sessions only",
  none: "no sessions",
} as const;

export const RULE_WORDS: Readonly<Record<string, string>> = {
  budget: "the disruption budget",
  forecast: "the forecast",
  quantile: "a quantile of session lengths",
  floor: "the floor",
  ceiling: "the ceiling",
  fixed: "the fixed window",
  empty: "its last session",
  grace: "the grace",
};
