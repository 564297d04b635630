/** How thick a number of sessions is drawn, and how high that makes each lane: one scale for all lanes of a picture. */

const MANTISSAS = [1, 1.5, 2, 3, 5, 8];
const BAR_MANTISSAS = [1, 2, 5];
/** A single session is not drawn as a block. */
const MOST_PX_A_SESSION = 10;
/** Space above and below the thickest place of a band. */
const BREATH_PX = 12;
const THICKEST_PX = 84;
/** The bar that shows the scale is not longer. */
const BAR_PX = 20;

export interface SessionScale {
  readonly pxPerSession: number;
  /** Height of each lane, px, in the order of the peaks. */
  readonly heights: readonly number[];
  /** A round number of sessions and how thick it is drawn, to be shown beside the lanes. */
  readonly bar: { readonly sessions: number; readonly px: number };
}

/**
 * @param peaks the most sessions of each lane
 * @param leastPx height of a lane that hardly has any
 * @param budgetPx what all lanes together should not exceed; more of them than fit at `leastPx` exceed it
 */
export function sessionScale(peaks: readonly number[], leastPx: number, budgetPx: number): SessionScale {
  // Round peaks: so that a session more or less does not move every lane.
  const round = peaks.map(roundUp);
  const peak = Math.max(1, ...round);
  const breath = Math.min(BREATH_PX, leastPx / 4);
  const heightsAt = (px: number) => round.map((sessions) => Math.max(leastPx, Math.ceil(sessions * px + breath)));
  const total = (heights: readonly number[]) => heights.reduce((sum, height) => sum + height, 0);

  let px = Math.min(MOST_PX_A_SESSION, (leastPx - breath) / peak);
  const most = Math.min(MOST_PX_A_SESSION, THICKEST_PX / peak);
  for (let low = px, high = most, tries = 0; tries < 24 && low < high; tries++) {
    const middle = (low + high) / 2;
    if (total(heightsAt(middle)) <= budgetPx) px = low = middle;
    else high = middle;
  }
  return { pxPerSession: px, heights: heightsAt(px), bar: barOf(px) };
}

/**
 * Half the thickness of a band, px: any session at all is one pixel thick at least. To an eighth of a pixel: nobody sees
 * more, and a band that is about as thick for long has few points.
 */
export function halfOf(sessions: number, pxPerSession: number): number {
  return sessions > 0 ? Math.max(0.5, Math.round(sessions * pxPerSession * 4) / 8) : 0;
}

function roundUp(sessions: number): number {
  if (!(sessions > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(sessions));
  return (MANTISSAS.find((mantissa) => mantissa * power >= sessions) ?? 10) * power;
}

function barOf(pxPerSession: number): { sessions: number; px: number } {
  const most = Math.max(1, BAR_PX / pxPerSession);
  const power = 10 ** Math.floor(Math.log10(most));
  const mantissa = BAR_MANTISSAS.findLast((each) => each * power <= most) ?? 1;
  return { sessions: mantissa * power, px: mantissa * power * pxPerSession };
}
