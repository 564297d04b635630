import type { Command } from "commander";
import type { ApiClient } from "../api-client.ts";
import { openerOf, openSecretly } from "../browser.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { signInLink } from "../sign-in-link.ts";
import { stateDirOf } from "../state-dir.ts";
import { interruptible, type Terminal } from "../terminal.ts";

/** How long the browser may take to sign in before the link is printed after all, ms, and how often it is looked. */
const SIGN_IN_MS = 20_000;
const LOOK_EVERY_MS = 250;

export function addDashboard(program: Command, cli: Cli): void {
  const command = program
    .command("dashboard")
    .description("Open the dashboard, by a link that works once; without a desktop, show the link")
    .option("--print", "show the link and open nothing")
    .action(cli.action(async ({ print = false }: { readonly print?: boolean }) => dashboard(cli, print)));
  addExamples(command, [
    ["holdover dashboard", "see what is happening"],
    ["holdover dashboard --print", "a link, for a browser elsewhere"],
  ]);
}

async function dashboard(cli: Cli, print: boolean): Promise<number> {
  const { terminal } = cli;
  const { api, located } = await cli.connect();
  const state = stateDirOf(located.stateDir);
  const before = print ? [] : await pageTokens(api);
  const link = await signInLink(api, state);
  if (cli.json) {
    cli.printJson(link);
    return 0;
  }
  const opener = print ? null : openerOf(terminal.env);
  const remove = opener === null ? null : await openSecretly(link.url, opener, state.run, terminal.env);
  if (remove) {
    let end: Awaited<ReturnType<typeof signedIn>>;
    try {
      end = await signedIn(api, before, terminal);
    } finally {
      await remove();
    }
    if (end === "interrupted") return 130;
    if (end !== "late") {
      cli.print(`The dashboard is open in your browser, which is signed in as ${end.name}.`);
      return 0;
    }
    cli.note("The browser has not come. Open this yourself:");
  }
  cli.print(link.url);
  cli.note("It works once, for 10 minutes.");
  return 0;
}

async function pageTokens(api: ApiClient): Promise<string[]> {
  return (await api.tokens()).map(({ name }) => name).filter((name) => name.startsWith("page-"));
}

/** Who has come that was not there before. */
async function signedIn(
  api: ApiClient,
  before: readonly string[],
  terminal: Terminal,
): Promise<{ readonly name: string } | "late" | "interrupted"> {
  return interruptible(terminal, async (signal) => {
    for (let waitedMs = 0; waitedMs < SIGN_IN_MS; waitedMs += LOOK_EVERY_MS) {
      const name = (await pageTokens(api)).find((one) => !before.includes(one));
      if (name !== undefined) return { name };
      if (signal.aborted) return "interrupted";
      await terminal.pause(LOOK_EVERY_MS, signal);
    }
    return "late";
  });
}
