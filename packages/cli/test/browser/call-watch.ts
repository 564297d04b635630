import type { MediaSample, WatchedSide } from "@holdover/testkit/call-measures";
import type { Page } from "playwright-core";

/** What a page has counted of all its peer connections. */
interface Watch {
  readonly connections: number;
  /** Signalling states and wishes to negotiate, as they came. */
  readonly negotiations: { readonly atMs: number; readonly what: string }[];
  /** One entry for each line on which a picture comes in, at each time that a connection was asked. */
  readonly samples: { readonly connection: number; readonly mid: string; readonly sample: MediaSample }[];
}

declare global {
  var callWatch: Watch | undefined;
}

/** Counts from the start of the page on: to be called before it is opened. */
export async function watchCalls(page: Page): Promise<void> {
  await page.addInitScript(inPage);
}

/** Resolves when so many pictures come in on the newest connection of a page, of each of which so many frames were decoded. */
export async function picturesOn(page: Page, pictures: number, frames: number): Promise<void> {
  await page.waitForFunction(
    ([pictures, frames]) => {
      const { samples = [], connections = 0 } = globalThis.callWatch ?? {};
      const there = samples.filter(
        ({ connection, sample }) => connection === connections && sample.framesDecoded >= frames,
      );
      return new Set(there.map(({ mid }) => mid)).size === pictures;
    },
    [pictures, frames] as const,
  );
}

export async function connectionsOf(page: Page): Promise<number> {
  return page.evaluate(() => globalThis.callWatch?.connections ?? 0);
}

/**
 * What this side has seen since a moment, on the line and the connection that its first picture came in on.
 * @param sinceMs of the page's clock
 */
export async function sideOf(page: Page, name: string, sinceMs: number): Promise<WatchedSide> {
  const { watch, untilMs } = await page.evaluate(() => ({
    watch: globalThis.callWatch,
    untilMs: performance.timeOrigin + performance.now(),
  }));
  const first = watch?.samples.find(({ sample }) => sample.framesDecoded > 0);
  if (!watch || !first) throw new Error(`${name} has seen nothing`);
  return {
    name,
    samples: watch.samples.flatMap(({ connection, mid, sample }) =>
      connection === first.connection && mid === first.mid && sample.atMs >= sinceMs ? [sample] : [],
    ),
    untilMs,
    connections: watch.connections,
    negotiations: watch.negotiations.filter(({ atMs }) => atMs >= sinceMs).length,
  };
}

/** The clock of a page, ms. */
export function clockOf(page: Page): Promise<number> {
  return page.evaluate(() => performance.timeOrigin + performance.now());
}

/** Runs in the page, before anything of the page's own. */
function inPage(): void {
  const EVERY_MS = 100;
  const watch = { connections: 0, negotiations: [] as Watch["negotiations"], samples: [] as Watch["samples"] };
  globalThis.callWatch = watch;
  const now = (): number => performance.timeOrigin + performance.now();

  const look = async (connection: RTCPeerConnection, index: number): Promise<void> => {
    const audio = new Map<string, number>();
    const video: { mid: string; sample: MediaSample }[] = [];
    const report = await connection.getStats();
    report.forEach((stat: RTCInboundRtpStreamStats & { mid: string }) => {
      if (stat.type !== "inbound-rtp") return;
      // A voice has the line before the picture of the same person.
      if (stat.kind === "audio") audio.set(String(Number(stat.mid) + 1), stat.packetsReceived ?? 0);
      else
        video.push({
          mid: stat.mid,
          sample: {
            atMs: stat.timestamp,
            framesDecoded: stat.framesDecoded ?? 0,
            freezes: stat.freezeCount ?? 0,
            frozenMs: (stat.totalFreezesDuration ?? 0) * 1000,
            audioPackets: 0,
          },
        });
    });
    for (const { mid, sample } of video)
      watch.samples.push({ connection: index, mid, sample: { ...sample, audioPackets: audio.get(mid) ?? 0 } });
  };

  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      watch.connections += 1;
      const index = watch.connections;
      for (const what of ["negotiationneeded", "signalingstatechange"])
        this.addEventListener(what, () =>
          watch.negotiations.push({ atMs: now(), what: `${what} ${this.signalingState}` }),
        );
      let isLooking = false;
      const timer = setInterval(() => {
        if (this.connectionState === "closed") return clearInterval(timer);
        if (isLooking) return;
        isLooking = true;
        void look(this, index).finally(() => {
          isLooking = false;
        });
      }, EVERY_MS);
    }
  };
}
