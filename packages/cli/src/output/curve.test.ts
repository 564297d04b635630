import * as fc from "fast-check";
import { expect, test } from "vitest";
import { curve, type CurveOptions, type CurvePoint } from "./curve.ts";
import { painter } from "./paint.ts";

const AT_MS = Date.UTC(2026, 10, 22, 14, 7);
const MINUTE_MS = 60_000;
const plain: Omit<CurveOptions, "width"> = { unicode: true, toLocal: (atMs) => atMs, paint: painter(false) };

/** Sessions that end at a constant rate, with a wide interval. */
function falling(sessions: number, spanMs: number, points = 61): CurvePoint[] {
  return Array.from({ length: points }, (_, index) => {
    const share = index / (points - 1);
    const median = sessions * Math.max(0, (Math.exp(-4 * share) - Math.exp(-4)) / (1 - Math.exp(-4)));
    const wide = sessions * 0.4 * Math.sqrt(share) * (1 - share);
    return { atMs: AT_MS + share * spanMs, low: Math.max(0, median - wide), median, high: median + wide };
  });
}

const picture = (points: readonly CurvePoint[], options: Partial<CurveOptions>) =>
  `\n${curve(points, { ...plain, width: 60, ...options }).join("\n")}\n`;

test("an hour in braille, with the band around the median", () => {
  expect(picture(falling(317, 60 * MINUTE_MS), { width: 72 })).toMatchInlineSnapshot(`
    "
    sessions left   ⠒⠒ median   ░░ 80%
    317 ┤⠑⡄
        │ ⠈⢢░
        │   ⠑⢄░░
        │    ░⠑⢄░░
    200 ┤      ░⠑⢄░░░
        │       ░░⠑⠤⡀░░░
        │         ░░⠈⠒⢄⡀░░░░
        │           ░░░⠈⠑⠤⣀░░░░░░░
    100 ┤              ░░░░⠉⠒⠢⢄⡀░░░░░░░░
        │                 ░░░░░⠈⠉⠒⠢⠤⢄⣀░░░░░░░░░░░
        │                     ░░░░░░░░⠉⠉⠑⠒⠒⠤⠤⢄⣀⣀⣀░░░░░░░░░░
      0 ┤                           ░░░░░░░░░░░░░⠉⠉⠉⠉⠑⠒⠒⠒⠒⠒⠤⠤⠤⠤⠤⠤⠤⠤⠤⢄⣀⣀⣀⣀⣀⣀⣀
        └┬─────────────┬──────────┬──────────┬──────────┬──────────┬────────
         now         14:20      14:30      14:40      14:50      15:00
    "
  `);
});

test("the same in ASCII", () => {
  expect(picture(falling(317, 60 * MINUTE_MS), { width: 72, unicode: false })).toMatchInlineSnapshot(`
    "
    sessions left   ** median   :: 80%
    317 +*
        | **:
        |  :**:
        |    :**::
    200 +     ::**:::
        |       ::***:::
        |         :::***:::::
        |            :::****::::::
    100 +              :::::*****::::::::
        |                  ::::::********::::::::::
        |                       :::::::::**************::::::::
      0 +                                              *********************
        ++-------------+----------+----------+----------+----------+--------
         now         14:20      14:30      14:40      14:50      15:00
    "
  `);
});

test("a million in 20 columns", () => {
  expect(picture(falling(1_000_000, 30_000), { width: 20 })).toMatchInlineSnapshot(`
    "
    sessions left
      1M ┤⢱
         │⢸
         │ ⡇
         │ ⢱
         │ ⠘⡄
         │  ⢣
    500K ┤  ⠘⡄
         │   ⢱░
         │   ░⢣░░
         │    ░⠣⡀░
         │     ░⠑⢄⡀░
       0 ┤      ░░⠈⠒⠢⠤⣀⣀
         └┬────────────┬
          now   14:07:30
    "
  `);
});

test("three sessions over two days, where midnight shows the date", () => {
  expect(picture(falling(3, 48 * 60 * MINUTE_MS), { rows: 6 })).toMatchInlineSnapshot(`
    "
    sessions left   ⠒⠒ median   ░░ 80%
    3 ┤⠑⠤⡀
      │  ⠈⠑⠤⡀░
    2 ┤     ⠈⠑⠢⢄⣀░░
    1 ┤         ░⠉⠒⠢⠤⣀⡀░░░
      │             ░░⠈⠉⠑⠒⠢⠤⠤⢄⣀⣀⡀░░░░
    0 ┤                     ░░░░⠈⠉⠉⠉⠑⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀
      └┬───────────┬─────────────┬─────────────┬─────────────┬──
       now       11-23         12:00         11-24         12:00
    "
  `);
});

test("one point is a mark at now, and no point is nothing", () => {
  expect(picture([{ atMs: AT_MS, low: 2, median: 3, high: 4 }], { width: 30, rows: 5 })).toMatchInlineSnapshot(`
    "
    sessions left
    4 ┤░
      │⠂
    2 ┤
    1 ┤
    0 ┤
      └┬──────────────────────────
       now
    "
  `);
  expect(curve([], { ...plain, width: 80 })).toEqual([]);
  expect(curve([{ atMs: Number.NaN, low: 1, median: 1, high: 1 }], { ...plain, width: 80 })).toEqual([]);
});

test("times are round ones of the clock on the wall", () => {
  const toLocal = (atMs: number) => atMs + 330 * MINUTE_MS;
  const [times] = curve(falling(9, 480 * MINUTE_MS), { ...plain, width: 80, toLocal }).slice(-1);
  expect(times?.trim().split(/ +/)).toEqual(["now", "21:00", "22:00", "23:00", "00:00", "01:00", "02:00", "03:00"]);
});

test("a steep fall has no gap in its line", () => {
  const at = (seconds: number, median: number) => ({ atMs: AT_MS + seconds * 1000, low: median, median, high: median });
  const rows = curve([at(0, 40), at(30, 40), at(30, 1), at(60, 1)], { ...plain, width: 40, unicode: false });
  const column = rows.slice(1, 13).map((row) => row.indexOf("*"));
  expect(column.every((first) => first !== -1)).toBe(true);
});

test("colours mark the line and the band, and only there", () => {
  const lines = curve(falling(317, 60 * MINUTE_MS), {
    ...plain,
    width: 72,
    paint: (style, text) => `<${style}:${text}>`,
  });
  expect(lines[0]).toBe("sessions left   <cyan:⠒⠒> median   <dim:░░> 80%");
  expect(
    lines
      .slice(1)
      .join("\n")
      .replaceAll(/<(cyan|dim):([^>]*)>/g, "$2"),
  ).toBe(
    curve(falling(317, 60 * MINUTE_MS), { ...plain, width: 72 })
      .slice(1)
      .join("\n"),
  );
});

test("whatever the numbers are, it is as many lines as asked for and never wider than its width", () => {
  const number = fc.oneof(
    fc.double(),
    fc.nat(2000),
    fc.constantFrom(Number.NaN, Infinity, -Infinity, -1, 8.64e15, 1e300),
  );
  const point = fc.record({ atMs: number, low: number, median: number, high: number });
  fc.assert(
    fc.property(
      fc.array(point, { minLength: 1, maxLength: 20 }),
      fc.integer({ min: -5, max: 120 }),
      fc.integer({ min: 2, max: 20 }),
      fc.boolean(),
      (points, width, rows, unicode) => {
        const lines = curve(points, { ...plain, width, rows, unicode });
        if (lines.length === 0) return points.every(({ atMs }) => !(Math.abs(atMs) <= 8.64e15));
        expect(lines).toHaveLength(rows + 3);
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(Math.max(20, width));
        expect(lines.join("")).not.toMatch(/NaN|undefined|Infinity/);
        return true;
      },
    ),
  );
});
