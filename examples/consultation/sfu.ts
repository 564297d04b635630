// A selective forwarding unit in this process: each person has one connection, and what one sends is passed on to the
// others. Nobody ever negotiates twice: an offer has lines for everybody who may still come, and a picture comes and goes
// on a line that was there from the start.
import {
  PictureLossIndication,
  RTCPeerConnection,
  RtcpPayloadSpecificFeedback,
  StunProtocol,
  useOPUS,
  useSdesMid,
  useVP8,
  type MediaStreamTrack,
  type RtpPacket,
  type RTCRtpSender,
  type RTCRtpTransceiver,
} from "werift";

/** People in one call, at the most. */
export const SEATS = 3;
/** An offer with the codecs of a whole browser has about 20 KiB. */
export const OFFER_BYTES = 32 * 1024;

/** What an offer must have, in this order: a microphone and a camera, then a voice and a picture of each of the others. */
const LINES = [
  "audio sendonly",
  "video sendonly",
  ...Array.from({ length: SEATS - 1 }, () => ["audio recvonly", "video recvonly"]).flat(),
];
const CLOCK_RATE = { audio: 48_000, video: 90_000 };

/** Who has not connected, or was not heard of, for so long is gone, ms. A browser asks every few seconds whether we are there. */
const SILENT_MS = 15_000;
/** A camera is asked for a whole picture that often at the most, ms. */
const WHOLE_PICTURE_MS = 300;
/** What somebody sends beyond this is dropped: ten times what the page sends. */
const BYTES_A_SECOND = 500_000;

/** What somebody sees and hears of one of the others. */
interface Slot {
  readonly audio: Line;
  readonly video: Line;
}

interface Line {
  readonly sender: RTCRtpSender;
  /** Whose packets went out last, and when. */
  source: Peer | null;
  atMs: number;
}

/** An offer that is not what the page sends. */
export class OfferRefused extends Error {}

/** The media of one room. */
export class Stage {
  readonly #peers = new Map<number, Peer>();
  readonly #silentMs: number;

  /** @param silentMs who was not heard of for so long is gone */
  constructor(silentMs = SILENT_MS) {
    this.#silentMs = silentMs;
  }

  /**
   * Connects whoever sits on a seat; a connection that was there before is closed.
   * @param gone is called once when the connection is lost, and not when it is closed by {@link leave}
   * @returns the answer to the offer
   * @throws OfferRefused
   */
  async join(seat: number, offer: string, gone: () => void): Promise<string> {
    const sdp = checkedOffer(offer);
    this.leave(seat);
    const peer = new Peer(seat, this.#peers, this.#silentMs, () => {
      if (this.#peers.get(seat) !== peer) return;
      this.leave(seat);
      gone();
    });
    this.#peers.set(seat, peer);
    try {
      return await peer.answer(sdp);
    } catch (thrown) {
      if (this.#peers.get(seat) === peer) this.leave(seat);
      throw new OfferRefused("this offer cannot be answered", { cause: thrown });
    }
  }

  leave(seat: number): void {
    this.#peers.get(seat)?.close();
    this.#peers.delete(seat);
  }

  close(): void {
    for (const seat of this.#peers.keys()) this.leave(seat);
  }
}

/** On which of the lines for others somebody has the one on another seat: one less than how far to the right he sits. */
export function slotOf(viewer: number, seat: number): number {
  return ((seat - viewer + SEATS) % SEATS) - 1;
}

/** One person's connection. */
class Peer {
  readonly #seat: number;
  readonly #peers: ReadonlyMap<number, Peer>;
  readonly #connection: RTCPeerConnection;
  readonly #watch: NodeJS.Timeout;
  #slots: readonly Slot[] = [];
  #camera: { readonly transceiver: RTCRtpTransceiver; readonly ssrc: number } | null = null;
  #heardAtMs = Date.now();
  #askedAtMs = 0;
  #secondAtMs = 0;
  #bytes = 0;

  constructor(seat: number, peers: ReadonlyMap<number, Peer>, silentMs: number, gone: () => void) {
    this.#seat = seat;
    this.#peers = peers;
    const host = process.env["MEDIA_HOST"] ?? process.env["HOST"] ?? "127.0.0.1";
    this.#connection = new RTCPeerConnection({
      codecs: {
        audio: [useOPUS()],
        video: [useVP8({ rtcpFeedback: [{ type: "nack" }, { type: "nack", parameter: "pli" }] })],
      },
      headerExtensions: { audio: [useSdesMid()], video: [useSdesMid()] },
      // We answer whoever comes to this one address, and send nothing to an address that an offer only names.
      iceLite: true,
      iceServers: [],
      iceInterfaceAddresses: { udp4: host },
      iceAdditionalHostAddresses: [host],
      iceUseIpv4: false,
      iceUseIpv6: false,
      iceUseTcp: false,
      iceFilterStunResponse: () => {
        this.#heardAtMs = Date.now();
        return true;
      },
    });
    this.#connection.connectionStateChange.subscribe((state) => {
      if (state === "connected") {
        closeToStrangers(this.#connection);
        for (const other of this.#others()) other.wholePicture();
      }
      if (state === "failed") gone();
    });
    this.#watch = setInterval(() => {
      if (Date.now() - this.#heardAtMs > silentMs) gone();
    }, silentMs / 5);
  }

  async answer(sdp: string): Promise<string> {
    const connection = this.#connection;
    await connection.setRemoteDescription({ type: "offer", sdp });
    const [microphone, camera, ...others] = connection.getTransceivers();
    if (!microphone || !camera || others.length !== LINES.length - 2) throw new Error("lines are missing");
    for (const transceiver of others) transceiver.setDirection("sendonly");
    for (const transceiver of [microphone, camera]) {
      transceiver.setDirection("recvonly");
      let first: MediaStreamTrack | null = null;
      const listen = (track: MediaStreamTrack): void => {
        if (first) return;
        first = track;
        track.onReceiveRtp.subscribe((packet) => this.#pass(transceiver, packet));
      };
      transceiver.receiver.tracks.forEach(listen);
      transceiver.onTrack.subscribe(listen);
    }
    this.#slots = pairs(others).map(([audio, video]) => ({ audio: lineOf(audio), video: lineOf(video) }));
    for (const [slot, [, video]] of pairs(others).entries())
      this.#whenLost(video, () => this.#seenAt(slot)?.wholePicture());
    await connection.setLocalDescription(await connection.createAnswer());
    return connection.localDescription?.sdp ?? "";
  }

  /** Asks the camera for a picture that needs none before it. */
  wholePicture(): void {
    const now = Date.now();
    if (!this.#camera || now - this.#askedAtMs < WHOLE_PICTURE_MS) return;
    this.#askedAtMs = now;
    this.#camera.transceiver.receiver.sendRtcpPLI(this.#camera.ssrc).catch(() => {});
  }

  close(): void {
    clearInterval(this.#watch);
    this.#connection.close().catch(() => {});
  }

  /** What is sent to this person of another one. */
  send(from: Peer, kind: "audio" | "video", packet: RtpPacket): void {
    const line = this.#slots[slotOf(this.#seat, from.#seat)]?.[kind];
    if (!line) return;
    const now = Date.now();
    if (line.source !== from) {
      // Somebody else sits on that seat now: numbers go on where they were, and the clock by the time that has passed.
      line.sender.replaceRTP(packet.header, false, Math.round(((now - line.atMs) * CLOCK_RATE[kind]) / 1000) >>> 0);
      line.source = from;
    }
    line.atMs = now;
    line.sender.sendRtp(packet).catch(() => {});
  }

  /** A browser asks for a whole picture in its own name, which may be one of this very line: then it comes to the receiver. */
  #whenLost({ sender, receiver }: RTCRtpTransceiver, ask: () => void): void {
    sender.onPictureLossIndication.subscribe(ask);
    receiver.onRtcp.subscribe((packet) => {
      if (packet instanceof RtcpPayloadSpecificFeedback && packet.feedback instanceof PictureLossIndication) ask();
    });
  }

  #pass(transceiver: RTCRtpTransceiver, packet: RtpPacket): void {
    const { kind } = transceiver;
    if (kind !== "audio" && kind !== "video") return;
    const now = Date.now();
    this.#heardAtMs = now;
    if (now - this.#secondAtMs >= 1000) {
      this.#secondAtMs = now;
      this.#bytes = 0;
    }
    this.#bytes += packet.payload.length;
    if (this.#bytes > BYTES_A_SECOND) return;
    if (kind === "video") this.#camera ??= { transceiver, ssrc: packet.header.ssrc };
    // They say on which line of ours it came, and nothing to anybody else.
    packet.header.extensions = [];
    for (const other of this.#others()) other.send(this, kind, packet);
  }

  *#others(): Iterable<Peer> {
    for (const peer of this.#peers.values()) if (peer !== this) yield peer;
  }

  #seenAt(slot: number): Peer | undefined {
    return this.#peers.get((this.#seat + slot + 1) % SEATS);
  }
}

/**
 * Takes datagrams of the connected browser's address alone: others cannot be of it, and could end the connection all the same.
 * A STUN message, which starts with a byte below 4, proves by itself whose it is.
 */
function closeToStrangers({ iceTransports }: RTCPeerConnection): void {
  for (const { connection } of iceTransports) {
    const pair = connection.nominated;
    if (!(pair?.protocol instanceof StunProtocol)) continue;
    const { transport } = pair.protocol;
    const [host, port] = pair.remoteAddr;
    const { onData } = transport;
    transport.onData = (data, from) => {
      if ((data[0] ?? 4) < 4 || (from[0] === host && from[1] === port)) onData(data, from);
    };
  }
}

function lineOf({ sender }: RTCRtpTransceiver): Line {
  return { sender, source: null, atMs: 0 };
}

function pairs<Value>(values: readonly Value[]): [Value, Value][] {
  return values.flatMap((first, index) => {
    const second = values[index + 1];
    return index % 2 === 0 && second !== undefined ? [[first, second]] : [];
  });
}

/** @returns the offer without its candidates @throws OfferRefused */
function checkedOffer(offer: string): string {
  if (offer.length > OFFER_BYTES) throw new OfferRefused(`an offer has ${OFFER_BYTES} bytes at the most`);
  const lines = offer.split(/\r?\n/);
  const media: string[] = [];
  let isProved = false;
  for (const line of lines) {
    const kind = /^m=(\S+) /.exec(line)?.[1];
    if (kind) media.push(kind);
    const direction = /^a=(sendonly|recvonly|sendrecv|inactive)$/.exec(line)?.[1];
    if (direction && media.length > 0) media[media.length - 1] += ` ${direction}`;
    if (/^a=fingerprint:sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}$/i.test(line)) isProved = true;
  }
  if (media.join() !== LINES.join()) throw new OfferRefused(`an offer has these lines: ${LINES.join(", ")}`);
  // Who sends it would be anybody's guess.
  if (!isProved) throw new OfferRefused("an offer has a fingerprint");
  return lines.filter((line) => !/^a=(candidate|end-of-candidates)/.test(line)).join("\r\n");
}
