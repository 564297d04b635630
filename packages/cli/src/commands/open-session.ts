import { HoldoverError } from "@holdover/core";
import type { Command } from "commander";
import type { NewSession } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";

interface OpenOptions {
  readonly key?: string;
  readonly agent?: string;
  readonly tenant?: string;
  readonly label?: string;
  readonly payload?: string;
}

/** @param sessions the command that this one is under */
export function addOpenSession(sessions: Command, cli: Cli): void {
  const open = sessions
    .command("open")
    .description("Open a session on a worker, as a job; it runs when this ends")
    .argument("<service>", "the service whose workers are asked")
    .option("--key <key>", "what names it; left out: Holdover names it")
    .option("--agent <name>", "which of the worker's agents it is for; else default")
    .option("--tenant <name>", "for whom it is")
    .option("--label <label>", "one of the values of the service's label")
    .option("--payload <json>", "what the agent is handed, up to 64 KiB")
    .action(
      cli.action(async (service: string, { payload, ...named }: OpenOptions) => {
        // The command above has an option of that name, and takes it before this one can.
        const { key } = sessions.opts<{ readonly key?: string }>();
        const body: NewSession = {
          ...named,
          ...(key !== undefined && { key }),
          ...(payload !== undefined && { payload: jsonIn(payload) }),
        };
        const { api } = await cli.connect();
        const opened = await api.openSession(service, body);
        if (cli.json) cli.printJson(opened);
        else cli.print(`Session ${opened.key} runs on ${opened.instance}, release ${opened.release}.`);
        return 0;
      }),
    );
  addExamples(open, [
    [
      `holdover sessions open echo --agent echo --payload '{"url":"ws://127.0.0.1:9000/call-1"}'`,
      "send an agent there",
    ],
    ["holdover sessions open echo --key call-1", "the same again opens no second one"],
  ]);
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HoldoverError("USAGE_INVALID", {
      problem: "--payload is not JSON.",
      remedy: `Put it into single quotes, so that the shell leaves it as it is: '{"a": 1}'.`,
    });
  }
}
