import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { calibrate, emptyForecastRecord, type ForecastRecord, remember, settle } from "./forecast-record.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const model = { lowMs: 30 * MINUTE, medianMs: HOUR, highMs: 2 * HOUR, known: true };
const ask = (atMs: number) => ({ atMs, release: "v1", live: 40, allowed: 2 });

/** Trials at such times, with such outcomes: what a service has lived through. */
function livedThrough(
  trials: number,
  everyMs: number,
  outcomeMs: (atMs: number, trial: number) => number,
  ceilingMs = DAY,
): { record: ForecastRecord; nowMs: number } {
  let record = emptyForecastRecord();
  const retires = new Map<number, number>();
  let nowMs = 0;
  for (let trial = 0; trial < trials; trial++) {
    nowMs = Math.round((trial + ((trial * 0.618034) % 1)) * everyMs);
    record = settle(record, nowMs, ({ atMs }) => {
      const at = retires.get(atMs) ?? Infinity;
      return at <= nowMs ? at : undefined;
    });
    record = remember(record, model, ask(nowMs), ceilingMs);
    retires.set(nowMs, nowMs + outcomeMs(nowMs, trial));
  }
  return { record, nowMs };
}

/** The quantile of the log-normal law that the model stands for, at the shares of a low-discrepancy sequence. */
const asTheModelSays = (trial: number, wider = 1, longer = 1) => {
  const share = ((trial + 0.5) * 0.754877666) % 1;
  return longer * HOUR * Math.exp((wider * Math.LN2 * Math.log(share / (1 - share))) / Math.log(9));
};

describe("a forecast", () => {
  test("of a service without a past is the model's, somewhat wider: independence is only ever too sure", () => {
    const said = calibrate(emptyForecastRecord(), model, ask(0), DAY);
    expect(said).toMatchObject({ lens: "recent", trials: 0, known: true });
    expect(said.medianMs / HOUR).toBeCloseTo(1, 0);
    expect(said.lowMs).toBeLessThan(model.lowMs);
    expect(said.highMs).toBeGreaterThan(model.highMs);
    expect(said.highMs).toBeLessThan(4 * HOUR);
  });

  test("that comes out as the model says stays what it is", () => {
    const { record, nowMs } = livedThrough(400, 2 * HOUR, (_, trial) => asTheModelSays(trial));
    const said = calibrate(record, model, ask(nowMs + HOUR), DAY);
    expect(Math.abs(Math.log(said.medianMs / model.medianMs))).toBeLessThan(0.15);
    expect(Math.abs(Math.log(said.lowMs / model.lowMs))).toBeLessThan(0.3);
    expect(Math.abs(Math.log(said.highMs / model.highMs))).toBeLessThan(0.3);
  });

  test("that was always too short, or too sure, is corrected", () => {
    const { record, nowMs } = livedThrough(400, 2 * HOUR, (_, trial) => asTheModelSays(trial, 3, 2));
    const said = calibrate(record, model, ask(nowMs + HOUR), 9 * DAY);
    expect(said.medianMs / HOUR).toBeGreaterThan(1.5);
    expect(said.medianMs / HOUR).toBeLessThan(2.7);
    expect(Math.log(said.highMs / said.lowMs)).toBeGreaterThan(0.75 * Math.log(4 ** 3));
  });

  test("widens within a few trials when outcomes are wild", () => {
    const { record, nowMs } = livedThrough(8, 2 * HOUR, (_, trial) => (trial % 2 === 0 ? 8 : 1 / 8) * HOUR);
    const wild = calibrate(record, model, ask(nowMs + HOUR), 9 * DAY);
    expect(wild.highMs / wild.lowMs).toBeGreaterThan(16);
  });

  test("knows the minutes of the hour, where sessions end on the hour", () => {
    const { record } = livedThrough(900, 11 * MINUTE, (atMs) => HOUR - (atMs % HOUR) + MINUTE);
    const at = (minute: number) => calibrate(record, model, ask(1000 * HOUR + minute * MINUTE), DAY);
    expect(at(20).lens).toBe("hour");
    expect(at(20).medianMs / MINUTE).toBeGreaterThan(33);
    expect(at(20).medianMs / MINUTE).toBeLessThan(49);
    expect(at(45).medianMs / MINUTE).toBeGreaterThan(10);
    expect(at(45).medianMs / MINUTE).toBeLessThan(23);
  });

  test("counts trials that still wait: outcomes that grow are seen before they are over", () => {
    const growing = livedThrough(60, HOUR, (_, trial) => (trial < 40 ? HOUR : 50 * HOUR), 100 * HOUR);
    const steady = livedThrough(60, HOUR, () => HOUR, 100 * HOUR);
    const [late, soon] = [growing, steady].map(({ record, nowMs }) => calibrate(record, model, ask(nowMs), 100 * HOUR));
    expect(late?.highMs).toBeGreaterThan(2 * (soon?.highMs ?? Infinity));
  });

  test("with nothing to wait for is now", () => {
    const none = { lowMs: 0, medianMs: 0, highMs: 0, known: true };
    expect(calibrate(emptyForecastRecord(), none, ask(0), DAY)).toMatchObject({ lowMs: 0, medianMs: 0, highMs: 0 });
    expect(remember(emptyForecastRecord(), none, ask(0), DAY)).toEqual(emptyForecastRecord());
  });
});

test("an outcome that the ceiling cut off is settled there, as one that would have been later", () => {
  const { record } = livedThrough(20, HOUR, () => 50 * HOUR, 2 * HOUR);
  expect(record.settled.length).toBeGreaterThan(10);
  expect(record.settled.every((trial) => !trial.exact)).toBe(true);
  expect(calibrate(record, model, ask(100 * HOUR), 2 * HOUR).highMs).toBe(2 * HOUR);
});

test("the shares outside follow the misses: an interval missed above opens above", () => {
  const { record } = livedThrough(100, 4 * HOUR, (_, trial) => HOUR * 1.02 ** trial, 90 * DAY);
  expect(record.outside.high).toBeLessThan(0.1);
  expect(record.outside.low).toBeGreaterThanOrEqual(0.1);
});

test("the record is a plain value of bounded size: it survives JSON and stays under half a megabyte", () => {
  const { record, nowMs } = livedThrough(3000, 5 * MINUTE, (_, trial) => asTheModelSays(trial, 1, 40), 30 * DAY);
  const text = JSON.stringify(record);
  expect(JSON.parse(text)).toEqual(record);
  expect(text.length).toBeLessThan(500_000);
  const again = JSON.parse(text) as ForecastRecord;
  expect(calibrate(again, model, ask(nowMs), DAY)).toEqual(calibrate(record, model, ask(nowMs), DAY));
});

test("whatever happened, low, median and high keep their order, below the ceiling, and none is NaN", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 3 * DAY }), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 5 * HOUR }),
      fc.integer({ min: 1, max: 2 * DAY }),
      (outcomes, everyMs, ceilingMs) => {
        const { record, nowMs } = livedThrough(outcomes.length, everyMs, (_, trial) => outcomes[trial] ?? 1, ceilingMs);
        const said = calibrate(record, model, ask(nowMs), ceilingMs);
        expect(said.lowMs).toBeGreaterThan(0);
        expect(said.lowMs).toBeLessThanOrEqual(said.medianMs);
        expect(said.medianMs).toBeLessThanOrEqual(said.highMs);
        expect(said.highMs).toBeLessThanOrEqual(ceilingMs * (1 + 1e-12));
      },
    ),
  );
});
