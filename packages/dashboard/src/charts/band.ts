import { tenths } from "./px-text.ts";

/** A band around a middle line: its outline over time, and the times at which nobody knows how thick it is. */

export interface Band {
  /** Runs of known counts. Straight lines between the samples: each is exact, and nothing is said beyond it. */
  readonly pieces: readonly BandPiece[];
  readonly gaps: readonly Gap[];
}

export interface BandPiece {
  readonly x: readonly number[];
  /** Half the thickness at each x. */
  readonly half: readonly number[];
}

interface Gap {
  readonly fromX: number;
  readonly toX: number;
}

export interface BandSamples {
  readonly sessions: readonly (number | null)[];
  /** Of each sample, growing. */
  readonly x: readonly number[];
  /** The last sample is taken to hold until here; after it, and until `endX`, nobody knows. */
  readonly holdsUntilX: number;
  readonly endX: number;
}

export function bandOf({ sessions, x, holdsUntilX, endX }: BandSamples, half: (sessions: number) => number): Band {
  const pieces: BandPiece[] = [];
  const gaps: Gap[] = [];
  let piece: { x: number[]; half: number[] } | undefined;
  let gapFrom: number | undefined;
  const add = (at: number, thick: number) => {
    // Where there is no session there is no band: what comes next begins where it leaves the middle.
    const before = piece?.half.length;
    if (thick === 0 && before !== undefined && piece?.half[before - 1] === 0) {
      if (before > 1) piece = undefined;
      else piece.x[0] = at;
      if (piece) return;
    }
    if (!piece) pieces.push((piece = { x: [], half: [] }));
    addPoint(piece, at, thick);
  };
  const last = Math.min(sessions.length, x.length) - 1;
  for (let index = 0; index <= last; index++) {
    const at = x[index]!;
    const count = sessions[index] ?? null;
    if (count === null) {
      gapFrom ??= index === 0 ? at : x[index - 1]!;
      // A sample between two gaps is a stroke, for a point would not be seen.
      if (piece?.x.length === 1) addPoint(piece, piece.x[0]! + 1, piece.half[0]!);
      piece = undefined;
      continue;
    }
    if (gapFrom !== undefined) gaps.push({ fromX: gapFrom, toX: at });
    gapFrom = undefined;
    add(at, half(count));
  }
  if (last >= 0) {
    const end = gapFrom === undefined ? Math.max(holdsUntilX, x[last]!) : gapFrom;
    const thick = piece?.half.at(-1);
    if (thick) add(end, thick);
    if (endX > end) gaps.push({ fromX: end, toX: endX });
  }
  return { pieces: pieces.filter(({ half }) => half.some((each) => each > 0)), gaps };
}

/** Of a run of equal counts only the ends are kept: the outline is the same. */
function addPoint(piece: { x: number[]; half: number[] }, x: number, half: number): void {
  const { length } = piece.half;
  if (length >= 2 && piece.half[length - 1] === half && piece.half[length - 2] === half) piece.x[length - 1] = x;
  else {
    piece.x.push(x);
    piece.half.push(half);
  }
}

/** The outline as an SVG path around y = 0. */
export function outlinePath({ x, half }: BandPiece): string {
  const { length } = x;
  const points = Array<string>(2 * length);
  for (let index = 0; index < length; index++) {
    const at = tenths(x[index]!);
    const off = tenths(half[index]!);
    points[index] = `${at} -${off}`;
    points[2 * length - 1 - index] = `${at} ${off}`;
  }
  return `M${points.join("L")}Z`;
}
