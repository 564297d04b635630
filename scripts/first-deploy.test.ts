import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { REPOSITORY, type ReleaseStatus } from "@holdover/testkit/cluster";
import { joinRoom, type RoomClient } from "@holdover/testkit/room-client";
import { openLedger } from "@holdover/testkit/room-ledger";
import { afterEach, expect, test, vi } from "vitest";
import { endAll, start } from "./start-fixture.ts";

vi.setConfig({ testTimeout: 120_000 });

afterEach(endAll);

test("every command of docs/first-deploy.md does what the guide says, one after the other", async () => {
  const guide = await readFile(join(REPOSITORY, "docs/first-deploy.md"), "utf8");
  const steps = stepsOf(guide);
  expect(steps.length).toBeGreaterThan(8);
  const started = await start();
  const release = (id: string, is: (one: ReleaseStatus) => boolean) =>
    started.until(`${id} is so`, ({ services: [service] }) =>
      service?.releases.some((one) => one.id === id && is(one)),
    );
  await release("v1", ({ state }) => state === "current");
  const [, url = ""] = /clients +(http:\S+)/.exec(started.output()) ?? [];
  const readers: RoomClient[] = [];
  const enter = async (room: string) => readers.push(await joinRoom({ url, name: "reader", ledger: openLedger(room) }));
  await enter("lobby");
  for (const { command, output } of steps) {
    if (command.endsWith(" down")) for (const reader of readers) reader.destroy();
    const [, ...words] = command.split(" ");
    const child = spawn("npx", words, { cwd: started.directory, env: started.env, stdio: ["ignore", "pipe", "pipe"] });
    const ended = once(child, "close") as Promise<[number | null]>;
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    expect({ command, code, stderr: code === 0 ? "" : stderr }).toEqual({ command, code: 0, stderr: "" });
    for (const line of output) expect(stdout).toMatch(asPattern(line));
    // What the guide's reader does, and sees, before the next one.
    if (command.includes("--release v2")) {
      await enter("garden");
      await release("v2", ({ sessions }) => (sessions?.open ?? 0) > 0);
    }
    if (command.includes("retire")) await release("v2", ({ state }) => state === "retired");
  }
  expect(await started.exit).toEqual([0, null]);
});

interface Step {
  readonly command: string;
  readonly output: string[];
}

/** What is typed after `$` in its blocks, with what the guide shows below it. */
function stepsOf(guide: string): Step[] {
  const steps: Step[] = [];
  for (const [, block = ""] of guide.matchAll(/^```\n([^]*?)^```$/gm)) {
    let step: Step | undefined;
    for (const line of block.trimEnd().split("\n")) {
      if (line.startsWith("$ ")) steps.push((step = { command: line.slice(2), output: [] }));
      else step?.output.push(line);
    }
  }
  return steps;
}

/** A line of a guide as what it may be in another run: other numbers, times and digests, and anything for `…`. */
function asPattern(line: string): RegExp {
  const parts = line.trim().split(/(…|[0-9a-f]{12}|\d[\d.]*(?:ms|[smhd])?\b|sessions?\b|connections?\b|\s+)/);
  const pattern = parts.map((part) => {
    if (part === "…") return ".*";
    if (/^[0-9a-f]{12}$/.test(part)) return "[0-9a-f]{12}";
    if (/^(session|connection)s?$/.test(part)) return `${part.replace(/s$/, "")}s?`;
    if (/^\d/.test(part)) return "[\\d.]+(?:ms|[smhd])?(?: \\d+s)?";
    if (/^\s+$/.test(part)) return "\\s+";
    return part.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
  });
  return new RegExp(pattern.join(""));
}
