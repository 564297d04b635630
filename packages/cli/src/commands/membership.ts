import { HoldoverError } from "@holdover/core";
import { InvalidArgumentError, type Command } from "commander";
import type { MembershipView, MemberView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { moment } from "../output/moment.ts";
import { table, type Cell } from "../output/table.ts";

interface RotateOptions {
  readonly reason?: string;
}

interface RevokeOptions {
  readonly reason: string;
}

export function addMembership(program: Command, cli: Cli): void {
  const membership = program
    .command("membership")
    .description("See which workers belong here; change the keys that say so; put one out");
  const show = membership
    .command("show")
    .description("Show the epoch, the signing keys, and the instances with a certificate")
    .action(
      cli.action(async () => {
        const { api } = await cli.connect();
        const view = await api.membership();
        if (cli.json) cli.printJson(view);
        else for (const line of lines(cli, view)) cli.print(line);
        return 0;
      }),
    );
  addExamples(show, [["holdover membership show", "keys and members"]]);
  const rotate = membership
    .command("rotate")
    .description("Sign with a new key; the one before goes on for a day, so that nobody is left behind")
    .option("--reason <text>", "why, for the audit log", readReason)
    .action(cli.action(async (options: RotateOptions) => rotateKeys(cli, options)));
  addExamples(rotate, [['holdover membership rotate --reason "once a year"', "no session notices"]]);
  const revoke = membership
    .command("revoke")
    .description("Put an instance out: it gets no session any more; those that it has go on")
    .argument("<instance>", "its id, as membership show has it")
    .requiredOption("--reason <text>", "why, for the audit log", readReason)
    .action(cli.action(async (instance: string, options: RevokeOptions) => revokeMember(cli, instance, options)));
  addExamples(revoke, [["holdover membership revoke rooms.v1-3 --reason lost", "what it has goes on"]]);
}

async function rotateKeys(cli: Cli, { reason }: RotateOptions): Promise<number> {
  const { api } = await cli.connect();
  const view = await api.rotateKeys(reason === undefined ? {} : { reason });
  if (cli.json) {
    cli.printJson(view);
    return 0;
  }
  const [current, before] = view.keys;
  if (!current) throw new HoldoverError("INTERNAL", { problem: "there is no signing key after a rotation" });
  cli.print(`The signing key is ${current.publicKey} now, in epoch ${view.epoch}.`);
  if (before && before.untilMs !== null) {
    cli.note(
      `The one before signs as well until ${moment(before.untilMs, cli.terminal.now())}. Nothing else is to be done.`,
    );
  }
  return 0;
}

async function revokeMember(cli: Cli, instance: string, { reason }: RevokeOptions): Promise<number> {
  const { api } = await cli.connect();
  const view = await api.revokeMember({ instance, reason });
  if (cli.json) cli.printJson(view);
  else {
    cli.print(`The instance ${instance} is revoked, in epoch ${view.epoch}.`);
    cli.note("The sessions that it has go on. To end them, retire its release or restart the service.");
  }
  return 0;
}

function lines(cli: Cli, { epoch, keys, members }: MembershipView): string[] {
  const nowMs = cli.terminal.now();
  const keyRows = keys.map(({ publicKey, sinceMs, untilMs }): Cell[] => [
    publicKey,
    moment(sinceMs, nowMs),
    untilMs === null ? { text: "current", style: "green" } : `until ${moment(untilMs, nowMs)}`,
  ]);
  const keyTable = table([{ title: "KEY" }, { title: "SINCE" }, { title: "SIGNS" }], keyRows, cli.paint, cli.width);
  const memberRows = members.map((member): Cell[] => [
    member.instance,
    member.service,
    member.release,
    moment(member.joinedAtMs, nowMs),
    String(member.serial),
    stateCell(member, nowMs),
  ]);
  const titles = ["INSTANCE", "SERVICE", "RELEASE", "JOINED", "SERIAL", "CERTIFICATE"];
  const columns = titles.map((title) => ({ title, shrinks: title === "INSTANCE" }));
  const memberTable =
    members.length === 0 ? ["No instance has joined."] : table(columns, memberRows, cli.paint, cli.width);
  return [`epoch ${epoch}`, "", ...keyTable, "", ...memberTable];
}

function stateCell({ state, untilMs, revokedAtMs }: MemberView, nowMs: number): Cell {
  switch (state) {
    case "valid":
      return `until ${moment(untilMs, nowMs)}`;
    case "expired":
      return { text: `expired ${moment(untilMs, nowMs)}`, style: "yellow" };
    case "revoked":
      return { text: `revoked ${moment(revokedAtMs ?? untilMs, nowMs)}`, style: "red" };
  }
}

function readReason(text: string): string {
  if (/^[^\p{Cc}]{1,200}$/u.test(text)) return text;
  throw new InvalidArgumentError("Write 1 to 200 characters in one line.");
}
