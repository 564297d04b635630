import { ROLES, type Role } from "@holdover/core";
import { Option, type Command } from "commander";
import type { TokenView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { readDuration } from "../option-values.ts";
import { moment } from "../output/moment.ts";
import { table, type Cell } from "../output/table.ts";

interface CreateOptions {
  readonly name: string;
  readonly role: Role;
  readonly expires?: number;
}

export function addToken(program: Command, cli: Cli): void {
  const token = program.command("token").description("Say who may call the API by TCP, and what");
  const create = token
    .command("create")
    .description("Make a token and show it, this once: what is stored is its SHA-256")
    .requiredOption("--name <name>", "who it is for; in the audit log whoever calls with it is api:NAME")
    .addOption(new Option("--role <role>", "what it lets do").choices([...ROLES]).makeOptionMandatory())
    .option("--expires <duration>", "how long it is valid, for example 90d; else until it is revoked", readDuration)
    .action(cli.action(async (options: CreateOptions) => createToken(cli, options)));
  addExamples(create, [
    ["holdover token create --role deployer --name ci --expires 90d", "deploys"],
    ["holdover token create --role viewer --name grafana", "only reads"],
  ]);
  const list = token
    .command("list")
    .description("List the tokens; the one in the file api-token, an admin's, is not among them")
    .action(
      cli.action(async () => {
        const { api } = await cli.connect();
        const tokens = await api.tokens();
        if (cli.json) cli.printJson(tokens);
        else for (const line of lines(cli, tokens)) cli.print(line);
        return 0;
      }),
    );
  addExamples(list, [["holdover token list", "names, roles, and until when they are valid"]]);
  const revoke = token
    .command("revoke")
    .description("Take a token back: from now on it lets nobody in")
    .argument("<name>", "its name")
    .action(
      cli.action(async (name: string) => {
        const { api } = await cli.connect();
        await api.revokeToken(name);
        if (cli.json) cli.printJson({ revoked: name });
        else cli.print(`The token ${name} is revoked.`);
        return 0;
      }),
    );
  addExamples(revoke, [["holdover token revoke ci", "whoever has it is let in no more"]]);
}

async function createToken(cli: Cli, { name, role, expires }: CreateOptions): Promise<number> {
  const { api } = await cli.connect();
  const made = await api.createToken({ name, role, ...(expires !== undefined && { lastsMs: expires }) });
  if (cli.json) {
    cli.printJson(made);
    return 0;
  }
  // Alone on standard output, so that a script can take it from there.
  cli.print(made.secret);
  const until = made.expiresAtMs === null ? "it is revoked" : moment(made.expiresAtMs, cli.terminal.now());
  cli.note(`The token ${name} has the role ${role} until ${until}. Keep it now: it is not shown again.`);
  return 0;
}

function lines(cli: Cli, tokens: readonly TokenView[]): string[] {
  const nowMs = cli.terminal.now();
  const rows = tokens.map((token): Cell[] => [
    token.name,
    token.role,
    moment(token.createdAtMs, nowMs),
    token.expiresAtMs === null ? "never" : moment(token.expiresAtMs, nowMs),
    token.expired ? { text: "expired", style: "red" } : "",
  ]);
  const titles = ["NAME", "ROLE", "CREATED", "EXPIRES", ""];
  return table(
    titles.map((title) => ({ title })),
    rows,
    cli.paint,
    cli.width,
  );
}
