import { afterEach, describe, expect, it } from "vitest";
import { clockTicks } from "./time-axis.ts";

const HOUR_MS = 3_600_000;
const zone = process.env["TZ"];

afterEach(() => {
  if (zone === undefined) delete process.env["TZ"];
  else process.env["TZ"] = zone;
});

describe("the axis of the clock", () => {
  it("has the round times of whoever looks, also where the zone is no whole hour", () => {
    process.env["TZ"] = "Asia/Kolkata";
    const fromMs = Date.parse("2026-11-25T10:05:00Z");
    expect(clockTicks(fromMs, fromMs + 3 * HOUR_MS, HOUR_MS).map(({ label }) => label)).toEqual([
      "16:00",
      "17:00",
      "18:00",
    ]);
  });

  it("names the day at midnight, and stays on round times over a change of the clock", () => {
    process.env["TZ"] = "Europe/Berlin";
    const fromMs = Date.parse("2026-10-24T08:00:00Z");
    const ticks = clockTicks(fromMs, fromMs + 48 * HOUR_MS, 5 * HOUR_MS);
    expect(ticks.map(({ label }) => label)).toEqual([
      "12:00",
      "18:00",
      "Sun 25",
      "06:00",
      "12:00",
      "18:00",
      "Mon 26",
      "06:00",
    ]);
  });

  it("tells seconds where a minute is too long a step", () => {
    process.env["TZ"] = "UTC";
    expect(clockTicks(1000, 40_000, 14_000).map(({ label }) => label)).toEqual(["00:00:15", "00:00:30"]);
  });
});
