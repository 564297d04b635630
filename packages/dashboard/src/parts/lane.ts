/** How many colours releases take in turn. */
const LANES = 6;

/** The class that gives a release its colour: the same in its row, in the pictures and in the lists. */
export function laneClass(releases: readonly { readonly id: string }[], release: string): string {
  const at = releases.findIndex(({ id }) => id === release);
  return at < 0 ? "lane-0" : `lane-${(at % LANES) + 1}`;
}
