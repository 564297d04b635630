import { NOT_KNOWN, samplesOf, type SessionSamples, type SessionTimeline } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A fresh, empty timeline. */
export interface OpenedSessionTimeline {
  readonly timeline: SessionTimeline;
  /** The timeline as a control process finds it that starts again. The one before is closed. */
  reopen(): Promise<SessionTimeline>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What every {@link SessionTimeline} keeps to. */
export function sessionTimelineConformance(name: string, open: () => Promise<OpenedSessionTimeline>): void {
  describe(`${name} as a SessionTimeline`, () => {
    let opened: OpenedSessionTimeline;
    let timeline: SessionTimeline;
    beforeEach(async () => {
      opened = await open();
      timeline = opened.timeline;
    });
    afterEach(() => opened.close());

    const append = (samples: SessionSamples, service = "chat") => timeline.append(new Map([[service, samples]]));
    const timesOf = async (fromMs: number, untilMs: number, service = "chat") =>
      (await timeline.read(service, fromMs, untilMs)).map(({ atMs }) => Array.from(atMs));

    it("knows nothing at first", async () => {
      expect(await timeline.read("chat", 0, Infinity)).toEqual([]);
      await timeline.forget(Infinity);
    });

    it("gives samples back as they were: times, counts, unknown ones, releases in their order; also opened again", async () => {
      const samples = samplesOf([
        { atMs: 1_700_000_000_000.25, live: new Map([["v2", 3]]) },
        {
          atMs: 1_700_000_005_000,
          live: new Map<string, number | null>([
            ["v2", null],
            ['v1 "é"', 2_000_000_000],
          ]),
        },
      ]);
      const none = samplesOf([{ atMs: 1_700_000_010_000, live: new Map() }]);
      await append(samples);
      await append(none);
      expect(samples.live).toEqual(Int32Array.of(3, NOT_KNOWN, 0, 2_000_000_000));
      expect(await timeline.read("chat", 0, Infinity)).toEqual([samples, none]);
      timeline = await opened.reopen();
      expect(await timeline.read("chat", 0, Infinity)).toEqual([samples, none]);
    });

    it("MUST give every sample within the times, both included, and none of another service", async () => {
      await append(at(10, 20));
      await append(at(30, 40));
      await append(at(15), "game");
      expect(await timesOf(20, 30)).toEqual([
        [10, 20],
        [30, 40],
      ]);
      expect(await timesOf(21, 29)).toEqual([]);
      expect(await timesOf(12, 13)).toEqual([[10, 20]]);
      expect(await timesOf(0, 100, "game")).toEqual([[15]]);
      expect(await timesOf(0, 100, "nobody")).toEqual([]);
    });

    it("keeps the order in which samples came, also where the clock was set back", async () => {
      await append(at(30, 40));
      await append(at(10, 35));
      await append(at(9, 8, 36));
      expect(await timesOf(35, 36)).toEqual([
        [30, 40],
        [10, 35],
        [9, 8, 36],
      ]);
    });

    it("stores samples of many services as one, or none of them", async () => {
      await timeline.append(
        new Map([
          ["chat", at(1)],
          ["game", at(2)],
          ["nothing", samplesOf([])],
        ]),
      );
      await opened.refuseWrites(true);
      const both = new Map([
        ["chat", at(3)],
        ["game", at(4)],
      ]);
      await expect(timeline.append(both)).rejects.toMatchObject({ code: "STORE_FAILED" });
      await opened.refuseWrites(false);
      expect(await timesOf(0, 9)).toEqual([[1]]);
      expect(await timesOf(0, 9, "game")).toEqual([[2]]);
      expect(await timesOf(0, 9, "nothing")).toEqual([]);
    });

    it("forgets what is older, and MUST NOT forget anything else", async () => {
      await append(at(1, 9));
      await append(at(5, 10));
      await append(at(2, 3), "game");
      await timeline.forget(10);
      expect(await timesOf(0, 99)).toEqual([[5, 10]]);
      expect(await timesOf(0, 99, "game")).toEqual([]);
    });
  });
}

function at(...times: number[]): SessionSamples {
  return samplesOf(times.map((atMs) => ({ atMs, live: new Map([["v1", atMs]]) })));
}
