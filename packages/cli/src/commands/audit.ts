import type { Command } from "commander";
import type { AuditEntryView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { readCount } from "../option-values.ts";
import { moment } from "../output/moment.ts";
import { cut, printable } from "../output/table.ts";
import { patiently } from "../reconnect.ts";
import { interruptible } from "../terminal.ts";

const POLL_MS = 500;
const PAGE_ENTRIES = 1000;

interface TailOptions {
  readonly lines: number;
  readonly follow?: boolean;
}

export function addAudit(program: Command, cli: Cli): void {
  const audit = program.command("audit").description("Read and check the record of what happened, by whom and why");
  const tail = audit
    .command("tail")
    .description("Show the last entries")
    .option("-n, --lines <number>", "how many, 1 to 10000", readCount, 20)
    .option("-f, --follow", "go on with new entries until Ctrl-C")
    .action(cli.action(async (options: TailOptions) => showTail(cli, options)));
  addExamples(tail, [["holdover audit tail -n 50 -f", "the last fifty, then each new one"]]);
  const verify = audit
    .command("verify")
    .description("Follow the chain from its first entry to its head; exit 1 where it is broken")
    .action(
      cli.action(async () => {
        const { api } = await cli.connect();
        const verdict = await api.verifyAudit();
        if (cli.json) cli.printJson(verdict);
        else cli.print(`The audit chain is whole: ${verdict.entries} entries, head ${verdict.head}`);
        return 0;
      }),
    );
  addExamples(verify, [["holdover audit verify", "entries and head: keep the head elsewhere, as a proof"]]);
}

async function showTail(cli: Cli, { lines, follow }: TailOptions): Promise<number> {
  const { api } = await cli.connect();
  const first = await api.auditTail(lines);
  print(cli, first);
  if (!follow) return 0;
  let seq = first.at(-1)?.seq ?? 0;
  return interruptible(cli.terminal, async (signal) => {
    for (;;) {
      await cli.terminal.pause(POLL_MS, signal);
      const read = async () => api.auditAfter(seq, PAGE_ENTRIES);
      const entries = await patiently(cli.terminal, read, (line) => cli.note(line), signal);
      if (!entries || signal.aborted) return 0;
      print(cli, entries);
      seq = entries.at(-1)?.seq ?? seq;
    }
  });
}

function print(cli: Cli, entries: readonly AuditEntryView[]): void {
  const nowMs = cli.terminal.now();
  for (const entry of entries) {
    if (cli.json) {
      cli.printJson(entry);
      continue;
    }
    const subject = [entry.service, entry.release, entry.instance, entry.session].filter((part) => part !== undefined);
    const parts = [
      moment(entry.atMs, nowMs),
      `#${entry.seq}`,
      entry.kind,
      subject.join(" "),
      `by ${entry.actor}: ${entry.reason}`,
    ];
    cli.print(cut(printable(parts.filter((part) => part !== "").join("  ")), cli.width ?? Infinity));
  }
}
