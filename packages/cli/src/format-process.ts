import { pathToFileURL } from "node:url";
import { answerTrial, problemOf, type DeclaredFormat, type SessionFormat } from "@holdover/core";

/** What a process tells of a module of session formats. */
export type FormatMessage =
  | { readonly type: "formats"; readonly formats: readonly DeclaredFormat[] }
  | { readonly type: "answer"; readonly answer: unknown }
  | { readonly type: "failed"; readonly problem: string };

const base64 = {
  encode: (bytes: Uint8Array) => Buffer.from(bytes).toString("base64"),
  decode: (text: string) => new Uint8Array(Buffer.from(text, "base64")),
};

// A process of its own: the code of a build is loaded here and nowhere else, with the modules that it was built with.
const [, , file = ""] = process.argv;
// Sent before it ends: nobody waits for what comes after.
const tell = (message: FormatMessage): void => void process.send?.(message);
try {
  const formats = formatsOf((await import(pathToFileURL(file).href)) as Record<string, unknown>);
  tell({
    type: "formats",
    formats: formats.map(({ name, version, oldest, lowest }) => ({ name, version, oldest, lowest })),
  });
  process.on("message", (question) => {
    try {
      tell({ type: "answer", answer: answerTrial(formats, question, base64) });
    } catch (thrown) {
      tell({ type: "failed", problem: problemOf(thrown) });
    }
  });
} catch (thrown) {
  tell({ type: "failed", problem: `it cannot be loaded: ${problemOf(thrown)}` });
  process.disconnect();
}

/** All that a module exports and that is a session format, by itself or in an array. */
function formatsOf(exported: Record<string, unknown>): SessionFormat<unknown>[] {
  return Object.values(exported).flat().filter(isFormat);
}

function isFormat(value: unknown): value is SessionFormat<unknown> {
  if (typeof value !== "object" || value === null) return false;
  const { name, version, decode, downgrade } = value as Partial<SessionFormat<unknown>>;
  return (
    typeof name === "string" &&
    typeof version === "number" &&
    typeof decode === "function" &&
    typeof downgrade === "function"
  );
}
