import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const theme = readFileSync(new URL("../theme.css", import.meta.url), "utf8");

/** [light, dark] of a token. */
function token(name: string): [string, string] {
  const [, light, dark] = new RegExp(`--${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(theme) ?? [];
  if (!light || !dark) throw new Error(`theme.css has no --${name} with two colours`);
  return [light, dark];
}

type Triple = readonly [number, number, number];

function linear(hex: string): Triple {
  const channel = (at: number) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

/** As WCAG 2 has it. */
function contrast(a: string, b: string): number {
  const luminance = ([r, g, b]: Triple) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
  const [less = 0, more = 0] = [luminance(linear(a)), luminance(linear(b))].sort((a, b) => a - b);
  return (more + 0.05) / (less + 0.05);
}

const times = (rows: readonly Triple[], [x, y, z]: Triple) =>
  rows.map(([a, b, c]) => a * x + b * y + c * z) as [number, number, number];

/** What eyes without one kind of cone see, in linear RGB (Machado, Oliveira and Fernandes 2009, severity 1). */
const EYES: Record<string, readonly Triple[]> = {
  usual: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** The colour in OKLab, lightness from 0 to 100. */
function perceived(hex: string, eye: readonly Triple[]): Triple {
  const seen = times(eye, linear(hex)).map((value) => Math.min(1, Math.max(0, value))) as [number, number, number];
  const cones = times(
    [
      [0.4122214708, 0.5363325363, 0.0514459929],
      [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    seen,
  ).map(Math.cbrt) as [number, number, number];
  return times(
    [
      [21.04542553, 79.3617785, -0.40720468],
      [197.79984951, -242.8592205, 45.05937099],
      [2.59040371, 78.27717662, -80.8675766],
    ],
    cones,
  );
}

const lanes = [1, 2, 3, 4, 5, 6].map((number) => token(`lane-${number}`));
const themes = [
  ["light", 0],
  ["dark", 1],
] as const;

describe.each(themes)("the colours of lanes in the %s theme", (_, side) => {
  it("stand out from what they are drawn on, as shapes have to", () => {
    const grounds = ["surface", "raised"].map((name) => token(name)[side]);
    const least = Math.min(...lanes.flatMap((lane) => grounds.map((ground) => contrast(lane[side], ground))));
    expect(least).toBeGreaterThanOrEqual(3);
  });

  it.each(Object.entries(EYES))("are told apart by eyes with %s vision", (_, eye) => {
    const seen = lanes.map((lane) => perceived(lane[side], eye));
    const apart = seen.flatMap((a, at) =>
      seen.slice(at + 1).map((b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])),
    );
    expect(Math.min(...apart)).toBeGreaterThanOrEqual(8);
  });
});
