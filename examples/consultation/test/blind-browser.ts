import { RTCPeerConnection, RtpHeader, RtpPacket, useOPUS, useSdesMid, useVP8, type RTCRtpTransceiver } from "werift";
import { expect, vi } from "vitest";
import { SEATS } from "../sfu.ts";

/** A browser without eyes: what it sends is what a test says, and what comes in is put down. */
export interface BlindBrowser {
  readonly connection: RTCPeerConnection;
  readonly offer: string;
  /** Video packets that came in, by the line of the one who sent them. */
  readonly seen: readonly RtpPacket[][];
  /** How often this browser's camera was asked for a whole picture. */
  asked(): number;
  answered(answer: string): Promise<void>;
  /** Sends one video packet. */
  send(sequenceNumber: number, timestamp?: number): void;
}

/** @param others for how many others it has lines; as many as the page has unless given */
export async function blindBrowser(others = SEATS - 1): Promise<BlindBrowser> {
  const connection = new RTCPeerConnection({
    codecs: { audio: [useOPUS()], video: [useVP8({ rtcpFeedback: [{ type: "nack", parameter: "pli" }] })] },
    headerExtensions: { audio: [useSdesMid()], video: [useSdesMid()] },
    iceServers: [],
    bundlePolicy: "max-bundle",
    iceInterfaceAddresses: { udp4: "127.0.0.1" },
    iceAdditionalHostAddresses: ["127.0.0.1"],
    iceUseIpv4: false,
    iceUseIpv6: false,
    iceUseTcp: false,
  });
  connection.addTransceiver("audio", { direction: "sendonly" });
  const camera = connection.addTransceiver("video", { direction: "sendonly" });
  let asked = 0;
  camera.sender.onPictureLossIndication.subscribe(() => {
    asked += 1;
  });
  const seen = Array.from({ length: others }, () => {
    connection.addTransceiver("audio", { direction: "recvonly" });
    return packetsOf(connection.addTransceiver("video", { direction: "recvonly" }));
  });
  await connection.setLocalDescription(await connection.createOffer());
  return {
    connection,
    offer: connection.localDescription?.sdp ?? "",
    seen,
    asked: () => asked,
    answered: async (sdp) => {
      await connection.setRemoteDescription({ type: "answer", sdp });
      await vi.waitFor(() => expect(connection.connectionState).toBe("connected"));
    },
    send: (sequenceNumber, timestamp = sequenceNumber * 3000) => {
      const header = new RtpHeader({ sequenceNumber, timestamp, payloadType: 96, ssrc: 1, marker: true });
      camera.sender.sendRtp(new RtpPacket(header, Buffer.from(`frame ${sequenceNumber}`))).catch(() => {});
    },
  };
}

function packetsOf(line: RTCRtpTransceiver): RtpPacket[] {
  const packets: RtpPacket[] = [];
  line.onTrack.subscribe((track) => track.onReceiveRtp.subscribe((packet) => packets.push(packet)));
  return packets;
}
