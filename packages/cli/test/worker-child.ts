import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { joinHoldover, type JoinedSession } from "@holdover/worker";

/** A service as a process of its own: a session for each line `open <key>`, over with `end <key>`. It says what it does. */
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const server = createServer((request, response) => {
  if (!holdover.probe(request, response)) response.end("served");
});
const holdover = await joinHoldover({ server });
server.listen(0, "127.0.0.1");
const open = new Map<string, JoinedSession>();
process.on("exit", (code) => say(`exit ${code}`));
process.on("SIGTERM", () => say("heard"));
const obey = async (line: string): Promise<void> => {
  const [word = "", key = ""] = line.split(" ");
  if (word === "open") open.set(key, await holdover.open({ key }));
  if (word === "end") await open.get(key)?.end();
  say(`done ${line}`);
};
createInterface({ input: process.stdin }).on("line", (line) => void obey(line));
process.stdin.unref?.();
say("joined");
