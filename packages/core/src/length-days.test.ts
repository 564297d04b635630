import { expect, test } from "vitest";
import { endedQuantiles } from "./length-days.ts";

const ended = (lengths: readonly number[], isForced: (index: number) => boolean = () => false) =>
  endedQuantiles({
    ends: lengths.length,
    lengthMs: Float64Array.from(lengths),
    forced: Uint8Array.from(lengths, (_, index) => (isForced(index) ? 1 : 0)),
  });

test("without force the quantiles of a day are those of the lengths that were seen", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(ended(hundred).p50Ms).toBe(50);
  expect(ended([...hundred, ...hundred].slice(0, 24))).toMatchObject({ p50Ms: 88, p95Ms: 99, p99Ms: 100 });
});

test("a session that was ended by force has lasted at least so long: what is cut short does not shorten the quantiles", () => {
  const natural = Array.from({ length: 20 }, (_, index) => 100 + index);
  const cut = Array<number>(20).fill(1);
  expect(ended([...natural, ...cut], (index) => index >= 20)).toEqual(ended(natural));
  const allLate = ended([...natural, ...Array<number>(400).fill(500)], (index) => index >= 20);
  expect(allLate).toEqual({ p50Ms: null, p95Ms: null, p99Ms: null });
});

test("fewer than ten natural ends tell nothing", () => {
  const nine = Array.from({ length: 9 }, (_, index) => index + 1);
  expect(ended([...nine, 10, 10], (index) => index >= 9).p50Ms).toBeNull();
  expect(ended([...nine, 10]).p50Ms).toBe(5);
  expect(ended([]).p50Ms).toBeNull();
});
