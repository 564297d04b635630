import { nowMs } from "../data/store.ts";
import { distance, duration, fullTime, number } from "../words/figures.ts";
import { Told } from "./told.tsx";

/** A number that may be unknown, which is shown as a dash and never as zero. */
export function Figure({
  value,
  why,
  unit,
}: {
  readonly value: number | null;
  readonly why: string;
  readonly unit?: string;
}) {
  return (
    <Told why={value === null ? `Not known now. ${why}` : why} class="told figure">
      {value === null ? <span aria-label="not known">–</span> : number(value)}
      {unit !== undefined && <small> {unit}</small>}
    </Told>
  );
}

/** How long something has been so; goes on by itself. */
export function Age({ sinceMs }: { readonly sinceMs: number }) {
  return <>{duration(nowMs.value - sinceMs)}</>;
}

/** How long ago, or in how long, a moment is; the exact time is explained. */
export function When({ atMs, why }: { readonly atMs: number; readonly why?: string }) {
  return (
    <Told why={why === undefined ? fullTime(atMs) : `${fullTime(atMs)}. ${why}`}>{distance(atMs, nowMs.value)}</Told>
  );
}
