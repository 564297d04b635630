import { describe, expect, test } from "vitest";
import { harm, measure, type MediaSample, type WatchedSide } from "./call-measures.ts";

/** A side that is sampled every 100 ms at ten frames a second, with what a test changes of single samples. */
function side(
  name: string,
  changed: (sample: MediaSample, index: number) => Partial<MediaSample> = () => ({}),
): WatchedSide {
  const samples = Array.from({ length: 100 }, (_, index): MediaSample => {
    const sample = {
      atMs: 5000 + index * 100,
      framesDecoded: 20 + index,
      freezes: 0,
      frozenMs: 0,
      audioPackets: index * 5,
    };
    return { ...sample, ...changed(sample, index) };
  });
  return { name, samples, untilMs: 14_900, connections: 1, negotiations: 0 };
}

/** No frame, or no sound, from one sample to another. */
const still =
  (what: "framesDecoded" | "audioPackets", from: number, to: number) =>
  (_: MediaSample, index: number): Partial<MediaSample> =>
    index > from && index < to ? { [what]: side("").samples[from]?.[what] ?? 0 } : {};

const control = [side("control advisor"), side("control customer")];

describe("the measures of a call", () => {
  test("of a call that goes on there is no complaint", () => {
    expect(harm([side("advisor"), side("customer")], control)).toEqual([]);
  });

  test("the longest gap is the time from one growth to the next", () => {
    const { longestGapMs, longestSilenceMs, frames, lengthMs } = measure(
      side("advisor", still("framesDecoded", 30, 40)),
    );
    expect({ longestGapMs, longestSilenceMs, frames, lengthMs }).toEqual({
      longestGapMs: 1000,
      longestSilenceMs: 100,
      frames: 99,
      lengthMs: 9900,
    });
  });

  test("a gap that the control has not is a harm, and one that it has is not", () => {
    const frozen = side("customer", still("framesDecoded", 30, 40));
    expect(harm([side("advisor"), frozen], control)).toEqual(["customer: no frame for 1000 ms, more than 300 ms"]);
    expect(harm([side("advisor"), frozen], [frozen, side("")])).toEqual([]);
  });

  test("a gap of 200 ms more than the control's is none, and one of 201 ms is", () => {
    expect(harm([side("advisor", still("framesDecoded", 30, 33))], control)).toEqual([]);
    const late = side("advisor", (sample, index) => ({
      ...still("framesDecoded", 30, 33)(sample, index),
      atMs: sample.atMs + (index >= 33 ? 1 : 0),
    }));
    expect(harm([late], control)).toHaveLength(1);
  });

  test("a picture that stands still to the end is a gap to the end", () => {
    expect(measure(side("advisor", still("framesDecoded", 30, 100))).longestGapMs).toBe(6900);
  });

  test("a connection that is gone has a gap to the end, however good it was", () => {
    const { samples, ...rest } = side("advisor");
    expect(harm([{ ...rest, samples: samples.slice(0, 60) }], control)).toEqual([
      "advisor: no frame for 4000 ms, more than 300 ms",
      "advisor: no sound for 4000 ms, more than 300 ms",
    ]);
  });

  test("a page that was not sampled for a while has a gap for as long, whatever was decoded meanwhile", () => {
    const { samples, ...rest } = side("advisor");
    expect(measure({ ...rest, samples: samples.filter((_, index) => index < 30 || index > 50) }).longestGapMs).toBe(
      2200,
    );
  });

  test("a count that begins again at zero does not grow until it is where it was", () => {
    const again = side("advisor", ({ framesDecoded }, index) =>
      index > 50 ? { framesDecoded: framesDecoded - 70 } : {},
    );
    expect(measure(again).longestGapMs).toBeGreaterThan(4000);
  });

  test("no sound is a harm, with every frame there", () => {
    expect(harm([side("advisor", still("audioPackets", 30, 60))], control)).toEqual([
      "advisor: no sound for 3000 ms, more than 300 ms",
    ]);
  });

  test("a freeze is a harm where the control did not stand still at that time, and for nearly as long", () => {
    const frozen = side("advisor", (_, index) => (index > 50 ? { freezes: 1, frozenMs: 650 } : {}));
    const alone = ["advisor: frozen 1 times when the control was not"];
    expect(harm([frozen], control)).toEqual(alone);
    expect(harm([frozen], [side(""), side("", still("framesDecoded", 45, 50))])).toEqual([]);
    expect(harm([frozen], [side("", still("framesDecoded", 45, 49))])).toEqual(alone);
    expect(harm([frozen], [side("", still("framesDecoded", 60, 65))])).toEqual([]);
    expect(harm([frozen], [side("", still("framesDecoded", 62, 67))])).toEqual(alone);
    expect(harm([frozen], [side("", still("framesDecoded", 30, 35))])).toEqual([]);
    expect(harm([frozen], [side("", still("framesDecoded", 27, 32))])).toEqual(alone);
  });

  test("a second connection, and a second negotiation, is a harm", () => {
    expect(harm([{ ...side("advisor"), connections: 2, negotiations: 3 }], control)).toEqual([
      "advisor: 2 peer connections",
      "advisor: negotiated again, 3 times",
    ]);
  });

  test("a side of which nothing is known is no proof of anything", () => {
    expect(() => harm([{ ...side("advisor"), samples: [] }], control)).toThrow("no samples");
  });
});
