import type { CallerView, StatusView } from "@holdover/control/api";
import { computed, signal } from "@preact/signals";
import type { ApiFailure } from "./api-call.ts";
import { knownCounts } from "./known-counts.ts";
import { freshnessOf, type Freshness, type Heard } from "./freshness.ts";
import { createServerClock, SKEW_TOLD_MS } from "./server-clock.ts";

/** All that the page knows, told by the connection and read by whatever is drawn. Nothing that is drawn writes here. */

const local = { passedMs: () => performance.now(), wallMs: () => Date.now() };
export const serverClock = createServerClock(local);

/** Whoever is signed in; null: nobody, or not any more. */
export const caller = signal<CallerView | null>(null);
export const token = signal<string | null>(null);
/** Why the page asks for a token though it had one. */
export const signedOutBecause = signal<string | null>(null);

export const status = signal<StatusView | null>(null);
const heard = signal<Heard>({ statusAt: null, open: false });
/** Why the stream is broken, and when it is tried again, in the ms of `performance.now()`. */
export const broken = signal<{ failure: ApiFailure; againAt: number } | null>(null);
/** Epoch ms by the server at which the control process was seen to be another one than before; null: never. */
export const restartedAtMs = signal<number | null>(null);

/** The version of the control process that served this page; null: not known yet. */
const firstVersion = signal<string | null>(null);
/** The version that answers now, where this page is of another one; null: it is not. */
export const otherVersion = computed(() => {
  const now = status.value?.version ?? null;
  return now !== null && firstVersion.value !== null && now !== firstVersion.value ? now : null;
});

/** Once a second: what draws ages and deadlines follows it. */
const tick = signal(0);
/** Epoch ms by the server. */
export const nowMs = computed(() => {
  void tick.value;
  return serverClock.now();
});

export const freshness = computed<Freshness>(() => {
  void tick.value;
  return freshnessOf(heard.value, local.passedMs());
});
export const isLive = computed(() => freshness.value.kind === "live");

/** How far this machine's clock is ahead of the server's, ms; null: not far enough to tell of. */
export const skewMs = computed(() => {
  void status.value;
  const skew = serverClock.skewMs();
  return Math.abs(skew) > SKEW_TOLD_MS ? skew : null;
});

/** Whether counts are known: the host is linked to control. */
export const countsKnown = computed(() => status.value?.router.linked ?? false);

export function everySecond(): void {
  tick.value += 1;
}

export function hearStatus(view: StatusView): void {
  const before = status.value;
  serverClock.hear(view.nowMs);
  if (before && before.startedAtMs !== view.startedAtMs) restartedAtMs.value = view.nowMs;
  status.value = knownCounts(view);
  firstVersion.value ??= view.version;
  heard.value = { statusAt: local.passedMs(), open: true };
}

export function hearOpen(): void {
  heard.value = { ...heard.value, open: true };
  broken.value = null;
}

export function hearBroken(failure: ApiFailure, againInMs: number): void {
  heard.value = { ...heard.value, open: false };
  broken.value = { failure, againAt: local.passedMs() + againInMs };
}

/** Forgets whatever belongs to whoever was signed in. */
export function forget(): void {
  caller.value = null;
  status.value = null;
  heard.value = { statusAt: null, open: false };
  broken.value = null;
  restartedAtMs.value = null;
}

const ROLES = ["viewer", "deployer", "admin"] as const;

/** Why whoever is signed in may not do what needs a role; null: they may. */
export function barred(needed: (typeof ROLES)[number]): string | null {
  const who = caller.value;
  if (!who) return "Sign in first.";
  if (ROLES.indexOf(who.role) >= ROLES.indexOf(needed)) return null;
  return `Your token ${who.name} has the role ${who.role}; this needs ${needed}.`;
}
