/** A picture in which one sees who speaks, at a rate that a small machine keeps up with. */
const CAMERA = { width: 320, height: 240, frameRate: 10 };
const MOST_BITS_A_SECOND = 250_000;
/** As many others may be in the call. */
const OTHERS = 2;
let opened = 0;

/** Camera and microphone, one of them, or neither: whoever has none, or keeps them to himself, looks and listens. */
export async function openDevices() {
  for (const wanted of [{ audio: true, video: CAMERA }, { audio: true }, { video: CAMERA }]) {
    try {
      return await navigator.mediaDevices.getUserMedia(wanted);
    } catch {
      // The next one asks for less.
    }
  }
  return new MediaStream();
}

/**
 * The media of one call: one connection, negotiated once. It has lines for everybody who may come, so that whoever comes
 * or goes changes nothing about it.
 * @param {MediaStream} own
 * @param {{ failed(): void }} listener
 */
export function openCall(own, listener) {
  const connection = new RTCPeerConnection();
  for (const kind of ["audio", "video"])
    addLine(
      kind,
      "sendonly",
      own.getTracks().find((track) => track.kind === kind),
    );
  /** What is seen and heard on each of the lines for others. */
  const streams = Array.from(
    { length: OTHERS },
    () => new MediaStream(["audio", "video"].map((kind) => addLine(kind, "recvonly").receiver.track)),
  );
  connection.addEventListener("connectionstatechange", () => {
    if (connection.connectionState === "failed") listener.failed();
  });

  function addLine(kind, direction, track = kind) {
    const sendEncodings = kind === "video" && direction === "sendonly" ? [{ maxBitrate: MOST_BITS_A_SECOND }] : [];
    const line = connection.addTransceiver(track, { direction, sendEncodings, streams: track === kind ? [] : [own] });
    const wanted = kind === "audio" ? "audio/opus" : "video/VP8";
    const codecs = RTCRtpReceiver.getCapabilities(kind)?.codecs.filter(({ mimeType }) => mimeType === wanted) ?? [];
    if (codecs.length > 0) line.setCodecPreferences(codecs);
    return line;
  }

  opened += 1;
  return {
    /** Says to which offer an answer belongs. */
    id: opened,
    streams,
    async offer() {
      await connection.setLocalDescription(await connection.createOffer());
      return connection.localDescription.sdp;
    },
    answered: (sdp) => connection.setRemoteDescription({ type: "answer", sdp }),
    close: () => connection.close(),
  };
}
