import { isIPv6 } from "node:net";
import type { Clock } from "@holdover/core";

/** Calls without a valid token that are answered with 401, from one address within the period. */
export const FAILURES_MOST = 20;
/** In ms. */
export const FAILURES_PERIOD_MS = 10_000;
/** Addresses that are remembered at once; with one more the one that was heard of first is forgotten. */
const ADDRESSES_MOST = 1000;

/** Counts the calls that brought no valid token, by address. */
export interface FailedCalls {
  /** Counts one more; true: it is one too many. */
  add(address: string): boolean;
}

/**
 * A period begins with the first failure of an address and is over after its time, whatever comes meanwhile.
 * @param onLimit told once a period, when an address goes over the limit
 */
export function countFailedCalls(clock: Clock, onLimit: (address: string) => void): FailedCalls {
  const periods = new Map<string, { readonly endsAtMs: number; count: number }>();
  return {
    add(address) {
      const from = networkOf(address);
      const nowMs = clock.now();
      let period = periods.get(from);
      if (!period || period.endsAtMs <= nowMs) {
        // Deleted first, so that the map stays in the order in which periods began.
        periods.delete(from);
        for (const oldest of periods.keys()) {
          if (periods.size < ADDRESSES_MOST) break;
          periods.delete(oldest);
        }
        period = { endsAtMs: nowMs + FAILURES_PERIOD_MS, count: 0 };
        periods.set(from, period);
      }
      period.count += 1;
      if (period.count === FAILURES_MOST + 1) onLimit(from);
      return period.count > FAILURES_MOST;
    },
  };
}

/** Whoever has one IPv6 address has the 2^64 of its network: they count as one. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith("::ffff:")) return address;
  const [head = "", tail] = address.toLowerCase().split("%", 1)[0]?.split("::") ?? [];
  const left = head.split(":").filter((part) => part !== "");
  const right = (tail ?? "").split(":").filter((part) => part !== "");
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => "0");
  return `${[...left, ...zeros, ...right].slice(0, 4).join(":")}::/64`;
}
