/**
 * How long one connection may last, ms: the service's maximum, 10% more or less, so that what opened together does not end
 * together.
 *
 * @param random in [0, 1)
 */
export function jitteredAge(maxAgeMs: number, random: number): number {
  return maxAgeMs * (0.9 + 0.2 * random);
}
