/**
 * What a log has gained between two looks at its end. The API gives the last lines and no position, so the earlier
 * look is found again in the later one: the longest overlap counts.
 *
 * `gap`: nothing of the earlier look is left, so lines may have gone by unseen.
 */
export function linesAfter(
  before: readonly string[],
  after: readonly string[],
): { readonly fresh: readonly string[]; readonly gap: boolean } {
  for (let shift = 0; shift < before.length; shift++) {
    const overlap = before.length - shift;
    if (overlap <= after.length && sameLines(before, shift, after, overlap))
      return { fresh: after.slice(overlap), gap: false };
  }
  return { fresh: after, gap: before.length > 0 && after.length > 0 };
}

function sameLines(before: readonly string[], shift: number, after: readonly string[], count: number): boolean {
  for (let index = 0; index < count; index++) {
    if (before[shift + index] !== after[index]) return false;
  }
  return true;
}
