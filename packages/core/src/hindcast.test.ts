import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hindcast, type HindcastQuestion } from "./hindcast.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A midnight in UTC. */
const EPOCH = 20_000 * DAY;

type Span = readonly [openedHour: number, endedHour: number];

const ask = (spans: readonly Span[], given: Partial<HindcastQuestion> = {}): HindcastQuestion => ({
  nowMs: EPOCH + 3 * DAY,
  spans: {
    openedAtMs: Float64Array.from(spans, ([opened]) => EPOCH + opened * HOUR),
    endedAtMs: Float64Array.from(spans, ([, ended]) => EPOCH + ended * HOUR),
  },
  sinceMs: EPOCH,
  disruptionBudget: 0,
  lingerMs: 0,
  ceilingMs: Infinity,
  ...given,
});
const hours = (question: HindcastQuestion) =>
  hindcast(question).map(({ retiredAfterMs }) => retiredAfterMs && retiredAfterMs / HOUR);

describe("had the release been replaced at half past an hour", () => {
  // Live at 9:30 on three days, for 0.5, 1 and 3 hours more, and at 10:30 on the third for two.
  const spans: Span[] = [
    [9, 10],
    [24 + 8, 24 + 10.5],
    [48 + 9.25, 48 + 12.5],
  ];

  test("it would have lived on the average of the days for so long", () => {
    const answer = hindcast(ask(spans));
    expect(answer).toHaveLength(24);
    expect(answer[0]).toEqual({ startsAtMs: EPOCH + 3 * DAY, retiredAfterMs: 0, days: 3 });
    // 24 + 8 was live at 8:30 of one day, for two hours more.
    expect(answer[8]?.retiredAfterMs).toBeCloseTo((2 / 3) * HOUR, 3);
    expect(answer[9]).toEqual({ startsAtMs: EPOCH + 3 * DAY + 9 * HOUR, retiredAfterMs: 1.5 * HOUR, days: 3 });
    expect(answer[10]?.retiredAfterMs).toBeCloseTo((2 / 3) * HOUR, 3);
    expect(answer[11]?.retiredAfterMs).toBeCloseTo(HOUR / 3, 3);
    expect(answer[12]?.retiredAfterMs).toBe(0);
  });

  test("and a linger longer", () => {
    const answer = hindcast(ask(spans, { lingerMs: 15 * MINUTE }));
    expect(answer[9]?.retiredAfterMs).toBe(1.75 * HOUR);
    // On the first day its session had ended at 10, and its linger was over at a quarter past.
    expect(answer[10]?.retiredAfterMs).toBeCloseTo((2.25 * HOUR) / 3 + (0.25 * HOUR) / 3, 3);
  });

  test("the list begins with the hour that it is now", () => {
    const answer = hindcast(ask(spans, { nowMs: EPOCH + 3 * DAY + 9.75 * HOUR }));
    expect(answer[0]).toEqual({ startsAtMs: EPOCH + 3 * DAY + 9 * HOUR, retiredAfterMs: (4.5 / 4) * HOUR, days: 4 });
    expect(answer[23]?.startsAtMs).toBe(EPOCH + 4 * DAY + 8 * HOUR);
  });
});

test("what may be cut is not waited for", () => {
  // Ten live at 0:30, the k-th ends at k o'clock.
  const ten: Span[] = Array.from({ length: 10 }, (_, index) => [0, index + 1]);
  const at = (disruptionBudget: number) => hours(ask(ten, { disruptionBudget, nowMs: EPOCH + DAY }))[0];
  expect(at(0)).toBe(9.5);
  expect(at(0.1)).toBe(8.5);
  expect(at(0.29)).toBe(7.5);
  expect(at(0.9)).toBe(0.5);
  expect(at(1)).toBe(0);
});

describe("an hour that no day covers is null", () => {
  test("before the history begins, and after now", () => {
    const answer = hours(ask([[2, 3]], { sinceMs: EPOCH + HOUR, nowMs: EPOCH + 5 * HOUR }));
    // From 5:00: nothing of 5 to 0 o'clock is known, 1 to 4 o'clock is.
    expect(answer.slice(0, 20).every((value) => value === null)).toBe(true);
    expect(answer.slice(20)).toEqual([0, 0.5, 0, 0]);
  });

  test("where the outcome is open, and after it, though later ones are known: those are the short ones", () => {
    const open: Span[] = [
      [2, Number.NaN],
      [0, 1],
    ];
    const answer = hours(ask(open, { nowMs: EPOCH + DAY }));
    expect(answer.slice(0, 4)).toEqual([0.5, 0, null, null]);
    // With a tenth that may be cut of ten, one that stays open is not in the way.
    const busy: Span[] = [...open, ...Array.from({ length: 9 }, (): Span => [2.2, 23])];
    expect(hours(ask(busy, { nowMs: EPOCH + DAY, disruptionBudget: 0.1 })).slice(0, 4)).toEqual([0.5, 0, 20.5, 19.5]);
  });

  test("after an open outcome even where it is known, because more were live of whom some may be cut", () => {
    const spans: Span[] = [[0, Number.NaN], ...Array.from({ length: 9 }, (): Span => [1, 5])];
    const answer = hours(ask(spans, { nowMs: EPOCH + 9 * HOUR, disruptionBudget: 0.1 }));
    expect(answer.every((value) => value === null)).toBe(true);
  });

  test("but where the ceiling was reached it is known", () => {
    const answer = hours(ask([[2, Number.NaN]], { nowMs: EPOCH + DAY, ceilingMs: 4 * HOUR }));
    expect(answer.slice(0, 4)).toEqual([0, 0, 4, 4]);
    expect(answer.slice(19)).toEqual([4, null, null, null, null]);
  });

  test("without a history at all", () => {
    expect(hours(ask([], { sinceMs: EPOCH + 3 * DAY }))).toEqual(Array.from({ length: 24 }, () => null));
    expect(hours(ask([[2, 3]], { sinceMs: Number.NaN })).every((value) => value === null)).toBe(true);
  });
});

test("rows without sense are passed over", () => {
  const senseless: Span[] = [
    [5, 4],
    [Number.NaN, 9],
    [Infinity, Number.NaN],
    [99, Number.NaN],
    [3.5, 3.5],
  ];
  const sound: Span[] = [
    [3, 5],
    [9, 10],
  ];
  expect(hours(ask([...senseless, ...sound]))).toEqual(hours(ask(sound)));
});

test("of more than four weeks ago nothing is used", () => {
  const answer = hindcast(ask([], { sinceMs: 0 }));
  expect(answer.map(({ days }) => days)).toEqual(Array.from({ length: 24 }, () => 28));
});

test("whatever the sessions, it is what looking at each hour by itself gives", () => {
  const span = fc
    .tuple(fc.nat(96 * 4), fc.option(fc.integer({ min: 1, max: 30 * 4 })))
    .map(([opened, lasted]): Span => [opened / 4, lasted === null ? Number.NaN : (opened + lasted) / 4]);
  const settings = fc.record({
    disruptionBudget: fc.constantFrom(0, 0.05, 0.3, 1),
    lingerMs: fc.constantFrom(0, 20 * MINUTE),
    ceilingMs: fc.constantFrom(6 * HOUR, DAY, Infinity),
    nowMs: fc.integer({ min: EPOCH + HOUR, max: EPOCH + 5 * DAY }),
  });
  const slowly = (question: HindcastQuestion): (number | null)[] => {
    const byHour = Array.from({ length: 24 }, (): number[] => []);
    for (let hour = 0; EPOCH + (hour + 0.5) * HOUR <= question.nowMs; hour++) {
      const atMs = EPOCH + (hour + 0.5) * HOUR;
      const left: number[] = [];
      for (const [row, opened] of question.spans.openedAtMs.entries()) {
        const end = question.spans.endedAtMs[row] ?? Number.NaN;
        const letsGo = end <= question.nowMs ? end + question.lingerMs : Infinity;
        if (opened < atMs && letsGo > atMs) left.push(letsGo - atMs);
      }
      left.sort((a, b) => b - a);
      const afterMs = left[Math.floor(question.disruptionBudget * left.length + 1e-9)] ?? 0;
      if (afterMs === Infinity && question.nowMs - atMs < question.ceilingMs) break;
      byHour[hour % 24]?.push(Math.min(afterMs, question.ceilingMs));
    }
    const first = Math.floor((question.nowMs - EPOCH) / HOUR);
    return byHour.map((_, index) => {
      const known = byHour[(first + index) % 24] ?? [];
      return known.length === 0 ? null : known.reduce((sum, ms) => sum + ms, 0) / known.length;
    });
  };
  fc.assert(
    fc.property(fc.array(span, { maxLength: 60 }), settings, (spans, given) => {
      const question = ask(spans, given);
      expect(hindcast(question).map(({ retiredAfterMs }) => retiredAfterMs)).toEqual(slowly(question));
    }),
    { numRuns: 300 },
  );
});
