/** The cap on connections closed on purpose (rule 6), for one service. */
export interface DisconnectCap {
  /** Share of the service's connections, above 0 and up to 1. */
  readonly atOnce: number;
  /** How long clients take to reconnect, ms, above 0: within any such span no more than the share is closed. */
  readonly periodMs: number;
}

/**
 * How many connections may be closed now: the share of the live ones, at least one (else nothing would ever end),
 * less what was closed within the last period.
 *
 * Those just closed are not added to the live ones: most have reconnected and would count twice, and at a share of
 * 100% everybody could be closed again and again within one period.
 *
 * @param live connections of the service now, without those that are being closed
 * @param closed when connections were closed on purpose, epoch ms
 */
export function mayCloseNow(cap: DisconnectCap, live: number, closed: readonly number[], nowMs: number): number {
  const recently = closed.filter((atMs) => atMs > nowMs - cap.periodMs).length;
  return Math.max(0, Math.max(1, Math.floor(live * cap.atOnce)) - recently);
}
