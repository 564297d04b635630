import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { setTimeout as delay } from "node:timers/promises";
import { RtpHeader, RtpPacket } from "werift";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { OFFER_BYTES, OfferRefused, SEATS, slotOf, Stage } from "../sfu.ts";
import { blindBrowser, type BlindBrowser } from "./blind-browser.ts";

const opened: BlindBrowser[] = [];
const stages: Stage[] = [];

afterEach(async () => {
  for (const stage of stages.splice(0)) stage.close();
  await Promise.all(opened.splice(0).map(({ connection }) => connection.close()));
});

// A connection whose other end has gone sleeps for up to 1.5 s before it reports again and ends; nothing tells when.
afterAll(() => delay(2000));

function newStage(silentMs?: number): Stage {
  const stage = new Stage(silentMs);
  stages.push(stage);
  return stage;
}

async function browser(others?: number): Promise<BlindBrowser> {
  const one = await blindBrowser(others);
  opened.push(one);
  return one;
}

async function join(stage: Stage, seat: number, gone: () => void = () => {}): Promise<BlindBrowser> {
  const joined = await browser();
  await joined.answered(await stage.join(seat, joined.offer, gone));
  return joined;
}

const frames = (packets: readonly RtpPacket[] | undefined): string[] =>
  (packets ?? []).map(({ payload }) => payload.toString());

describe("a stage", () => {
  test("each has each of the others on a line of its own, whoever came first", () => {
    const seats = Array.from({ length: SEATS }, (_, seat) => seat);
    for (const viewer of seats) {
      const slots = seats.filter((seat) => seat !== viewer).map((seat) => slotOf(viewer, seat));
      expect(new Set(slots)).toEqual(new Set([0, 1]));
    }
  });

  test("what one sends comes to the other on the line that was there for him, and to nobody else", async () => {
    const stage = newStage();
    const [first, third] = [await join(stage, 0), await join(stage, 2)];
    first.send(1);
    await vi.waitFor(() => expect(frames(third.seen[slotOf(2, 0)])).toEqual(["frame 1"]));
    expect(frames(third.seen[slotOf(2, 1)])).toEqual([]);
    expect(first.seen.flat()).toEqual([]);
  });

  test("who joins late changes nothing for those who are there, and their cameras are asked for a whole picture", async () => {
    const stage = newStage();
    const [first, second] = [await join(stage, 0), await join(stage, 1)];
    const states: string[] = [];
    first.connection.signalingStateChange.subscribe((state) => states.push(state));
    first.send(1);
    await vi.waitFor(() => expect(second.seen.flat()).toHaveLength(1));
    const before = first.asked();
    const late = await join(stage, 2);
    await vi.waitFor(() => expect(first.asked()).toBe(before + 1));
    first.send(2);
    await vi.waitFor(() => expect(frames(late.seen[slotOf(2, 0)])).toEqual(["frame 2"]));
    expect(frames(second.seen[slotOf(1, 0)])).toEqual(["frame 1", "frame 2"]);
    expect(states).toEqual([]);
  });

  test("who takes a seat that was left goes on where its line was: numbers without a gap, time as it has passed", async () => {
    const stage = newStage();
    const [viewer, before] = [await join(stage, 0), await join(stage, 1)];
    const line = viewer.seen[slotOf(0, 1)] ?? [];
    before.send(60_000, 4_000_000_000);
    await vi.waitFor(() => expect(line).toHaveLength(1));
    stage.leave(1);
    const after = await join(stage, 1);
    after.send(7, 5);
    after.send(8, 3005);
    await vi.waitFor(() => expect(frames(line)).toEqual(["frame 60000", "frame 7", "frame 8"]));
    const [old, next, last] = line.map(({ header }) => header);
    expect([next?.sequenceNumber, last?.sequenceNumber]).toEqual([60_001, 60_002]);
    expect(next?.ssrc).toBe(old?.ssrc);
    const passed = ((next?.timestamp ?? 0) - (old?.timestamp ?? 0)) >>> 0;
    expect(passed).toBeGreaterThan(0);
    expect(passed).toBeLessThan(90_000 * 60);
    expect((last?.timestamp ?? 0) - (next?.timestamp ?? 0)).toBe(3000);
  });

  test("a browser that cannot show what came asks for a whole picture, and its camera hears of it", async () => {
    const stage = newStage();
    const [viewer, shown] = [await join(stage, 0), await join(stage, 1)];
    shown.send(1);
    const line = viewer.seen[slotOf(0, 1)] ?? [];
    await vi.waitFor(() => expect(line).toHaveLength(1));
    const before = shown.asked();
    const { receiver } = viewer.connection.getTransceivers()[2 + slotOf(0, 1) * 2 + 1] ?? {};
    await vi.waitFor(async () => {
      await receiver?.sendRtcpPLI(line[0]?.header.ssrc ?? 0);
      expect(shown.asked()).toBeGreaterThan(before);
    });
  });

  test("of who sends more than anybody could show, the rest is dropped", async () => {
    const stage = newStage();
    const [viewer, loud] = [await join(stage, 0), await join(stage, 1)];
    const camera = loud.connection.getTransceivers().find(({ kind }) => kind === "video");
    for (let sequenceNumber = 1; sequenceNumber <= 1000; sequenceNumber++) {
      const header = new RtpHeader({ sequenceNumber, timestamp: 1, payloadType: 96, ssrc: 1 });
      await camera?.sender.sendRtp(new RtpPacket(header, Buffer.alloc(1100)));
    }
    const line = viewer.seen[slotOf(0, 1)] ?? [];
    await vi.waitFor(() => expect(line.length).toBeGreaterThan(0));
    expect(line.length).toBeLessThan(900);
  });

  test("an offer that has other lines than the page's is refused, and nobody else notices", async () => {
    const stage = newStage();
    const [viewer, shown] = [await join(stage, 0), await join(stage, 1)];
    const good = (await browser()).offer;
    const refused = [
      "",
      "v=0",
      "x".repeat(OFFER_BYTES + 1),
      (await browser(SEATS)).offer,
      (await browser(0)).offer,
      good.replaceAll("sendonly", "sendrecv"),
      good.replace("m=audio", "m=application"),
      good.replaceAll(/a=fingerprint.*\r\n/g, ""),
      good.replaceAll(/a=ice-pwd.*\r\n/g, ""),
      good.replaceAll(/^(m=\w+ \d+ \S+).*$/gm, "$1"),
    ];
    for (const offer of refused) await expect(stage.join(2, offer, () => {})).rejects.toThrow(OfferRefused);
    shown.send(1);
    await vi.waitFor(() => expect(viewer.seen.flat()).toHaveLength(1));
  });

  test("what strangers send to somebody's port harms nobody", async () => {
    const stage = newStage();
    const viewer = await browser();
    const answer = await stage.join(0, viewer.offer, () => {});
    await viewer.answered(answer);
    const shown = await join(stage, 1);
    const port = Number(/^a=candidate:.* (\d+) typ host/m.exec(answer)?.[1]);
    const stranger = createSocket("udp4");
    const say = (bytes: Buffer): Promise<void> =>
      new Promise((resolve) => stranger.send(bytes, port, "127.0.0.1", () => resolve()));
    // The word by which one end of a DTLS connection closes it; then whatever begins like DTLS, RTP, RTCP and STUN.
    await say(Buffer.from("15fefd000000000000000000020100", "hex"));
    for (let round = 0; round < 200; round++)
      for (const first of [[20 + (round % 44), 0xfe, 0xfd], [128], [0x80, 206, 0, 2], [0]])
        await say(Buffer.concat([Buffer.from(first), randomBytes(40)]));
    stranger.close();
    shown.send(1);
    await vi.waitFor(() => expect(frames(viewer.seen[slotOf(0, 1)])).toEqual(["frame 1"]));
  });

  test("who never connects is gone after a while, and nobody is told of one who left", async () => {
    const stage = newStage(100);
    const gone: string[] = [];
    await stage.join(0, (await browser()).offer, () => gone.push("left"));
    stage.leave(0);
    await stage.join(1, (await browser()).offer, () => gone.push("never came"));
    await vi.waitFor(() => expect(gone).toEqual(["never came"]));
  });

  test("an answer names one address of this process and no other", async () => {
    const { offer } = await browser();
    const answer = await newStage().join(0, offer, () => {});
    const candidates = answer.match(/a=candidate:.*/g) ?? [];
    expect(new Set(candidates.map((line) => line.split(" ")[4]))).toEqual(new Set(["127.0.0.1"]));
    expect(answer).toContain("a=ice-lite");
  });
});
