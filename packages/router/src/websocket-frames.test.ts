import { array, assert, boolean, constantFrom, integer, nat, oneof, property, record } from "fast-check";
import { expect, test } from "vitest";
import { closeFrame, FrameTracker } from "./websocket-frames.ts";

interface Frame {
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: number;
  readonly fin: boolean;
}

/** Written from RFC 6455, 5.2, for the tests: header, mask key, payload of zeros. */
function encode({ opcode, masked, payload, fin }: Frame): Buffer {
  const mask = masked ? 0x80 : 0;
  const first = (fin ? 0x80 : 0) | opcode;
  let head: Buffer;
  if (payload < 126) head = Buffer.from([first, mask | payload]);
  else if (payload < 65_536) head = Buffer.from([first, mask | 126, payload >> 8, payload & 0xff]);
  else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = mask | 127;
    head.writeBigUInt64BE(BigInt(payload), 2);
  }
  return Buffer.concat([head, Buffer.alloc((masked ? 4 : 0) + payload, 0x88)]);
}

const frame = record({
  // Not 8: no frame follows a Close.
  opcode: constantFrom(0, 1, 2, 9, 10),
  masked: boolean(),
  payload: oneof(integer({ min: 0, max: 140 }), constantFrom(125, 126, 127, 65_535, 65_536, 70_000)),
  fin: boolean(),
});

function chunksOf(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length].toSorted((a, b) => a - b);
  return at.slice(1).map((end, index) => stream.subarray(at[index], end));
}

test("any chunking of any frames shows the same boundaries, and none that is none", () => {
  assert(
    property(array(frame, { minLength: 1, maxLength: 12 }), array(nat(), { maxLength: 40 }), (frames, cuts) => {
      const encoded = frames.map(encode);
      const stream = Buffer.concat(encoded);
      const ends = new Set<number>();
      let length = 0;
      for (const one of encoded) ends.add((length += one.length));
      const tracker = new FrameTracker();
      let from = 0;
      for (const chunk of chunksOf(stream, cuts)) {
        const told = tracker.feed(chunk);
        const until = from + chunk.length;
        const last = Math.max(-1, ...[...ends].filter((end) => end > from && end <= until));
        expect(told).toBe(last === -1 ? -1 : last - from);
        expect(tracker.atBoundary).toBe(until === 0 || ends.has(until));
        from = until;
      }
      expect(tracker.closed).toBe(false);
    }),
  );
});

test("a stream read byte by byte ends each frame at its last byte", () => {
  const stream = Buffer.concat([
    encode({ opcode: 2, masked: true, payload: 300, fin: false }),
    encode({ opcode: 0, masked: true, payload: 0, fin: true }),
  ]);
  const tracker = new FrameTracker();
  const ends = [...stream].flatMap((byte, at) => (tracker.feed(Uint8Array.of(byte)) === 1 ? [at + 1] : []));
  expect(ends).toEqual([308, 314]);
});

test("a Close frame is seen only when the whole of it has passed, and what follows it is no frame", () => {
  const close = closeFrame(1001, "going", Buffer.from([1, 2, 3, 4]));
  const tracker = new FrameTracker();
  expect(tracker.feed(close.subarray(0, close.length - 1))).toBe(-1);
  expect(tracker.closed).toBe(false);
  expect(
    tracker.feed(
      Buffer.concat([close.subarray(close.length - 1), encode({ opcode: 1, masked: true, payload: 3, fin: true })]),
    ),
  ).toBe(1);
  expect(tracker.closed).toBe(true);
});

test("a Close frame carries its code and reason, masked towards a server and bare towards a client", () => {
  expect(closeFrame(1012, "moved", null)).toEqual(Buffer.from([0x88, 7, 0x03, 0xf4, ...Buffer.from("moved")]));
  const masked = closeFrame(1001, "", Buffer.from([0xff, 0x0f, 0, 0]));
  expect(masked).toEqual(Buffer.from([0x88, 0x82, 0xff, 0x0f, 0, 0, 0x03 ^ 0xff, 0xe9 ^ 0x0f]));
});
