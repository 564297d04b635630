import { HoldoverError } from "@holdover/core";
import type { Located } from "./config/locate.ts";

/**
 * The service that is meant: the one that was named, else the only one of the configuration.
 * @throws HoldoverError USAGE_INVALID where it has to be named
 */
export function serviceOf(named: string | undefined, located: Located): string {
  if (named !== undefined) return named;
  const [only, ...others] = located.services;
  if (only !== undefined && others.length === 0) return only;
  const known = located.services.join(", ") || "none";
  throw new HoldoverError("USAGE_INVALID", {
    problem: "Which service is meant?",
    remedy: `Name it; the services of ${located.file}: ${known}.`,
  });
}

/**
 * Reads `[service] release`: two words are both; one word is a release of the only service.
 * @throws HoldoverError USAGE_INVALID
 */
export function serviceAndRelease(words: readonly string[], located: Located): { service: string; release: string } {
  const [first, second] = words;
  if (first !== undefined && second !== undefined) return { service: first, release: second };
  if (first !== undefined && !(located.services.length > 1 && located.services.includes(first))) {
    return { service: serviceOf(undefined, located), release: first };
  }
  throw new HoldoverError("USAGE_INVALID", {
    problem: "Which release is meant?",
    remedy: "Name it: [service] <release>.",
  });
}

/** Reads `[service] [release]`: one word is a service if the configuration has one of that name, else a release. */
export function serviceAndMaybeRelease(
  first: string | undefined,
  second: string | undefined,
  located: Located,
): { service: string; release: string | undefined } {
  if (second !== undefined || first === undefined) return { service: serviceOf(first, located), release: second };
  if (located.services.includes(first)) return { service: first, release: undefined };
  return { service: serviceOf(undefined, located), release: first };
}
