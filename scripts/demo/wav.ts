import { readFileSync } from "node:fs";

/**
 * The samples of a WAV file (RIFF, "Multimedia Programming Interface and Data Specifications 1.0"): chunks of an id, a
 * length and that many bytes, padded to an even number.
 * @returns PCM, 16 kHz, mono, 16 bits a sample, little-endian
 * @throws Error for any other file
 */
export function readWav(file: URL): Buffer {
  const bytes = readFileSync(file);
  if (bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, 12) !== "WAVE") {
    throw new Error(`${file.pathname} is no WAV file`);
  }
  let isSpeech = false;
  for (let at = 12; at + 8 <= bytes.length;) {
    const id = bytes.toString("latin1", at, at + 4);
    const length = bytes.readUInt32LE(at + 4);
    const chunk = bytes.subarray(at + 8, at + 8 + length);
    if (id === "fmt " && chunk.length >= 16) {
      const [format, channels, rate, bits] = [0, 2, 4, 14].map((offset) => chunk.readUInt16LE(offset));
      isSpeech = format === 1 && channels === 1 && rate === 16_000 && bits === 16;
    }
    if (id === "data") {
      if (!isSpeech || chunk.length < length) break;
      return chunk;
    }
    at += 8 + length + (length % 2);
  }
  throw new Error(`${file.pathname} is not 16 kHz PCM, mono, 16 bits`);
}
