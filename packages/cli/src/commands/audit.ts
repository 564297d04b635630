import { resolve } from "node:path";
import { HoldoverError } from "@holdover/core";
import type { Command } from "commander";
import type { AuditEntryView } from "../api-client.ts";
import type { Cli } from "../cli.ts";
import { verifyAuditFile } from "../audit-file.ts";
import { addExamples } from "../help-text.ts";
import { readCount, readSeq } from "../option-values.ts";
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

interface VerifyOptions {
  readonly file?: string;
  readonly key?: string;
}

interface ExportOptions {
  readonly after: number;
  readonly until?: number;
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
    .option("--file <file>", "an export instead of the log of the Holdover that runs here")
    .option("--key <file>", "with --file: the public key, a copy of audit-key.pub in the state directory")
    .action(cli.action(async (options: VerifyOptions) => showVerdict(cli, options)));
  addExamples(verify, [
    ["holdover audit verify", "entries and head"],
    ["holdover audit verify --file a.jsonl --key audit-key.pub", "an export"],
  ]);
  const save = audit
    .command("export")
    .description("Write the log as lines of JSON, with its signed head as the last")
    .option("--after <number>", "entries with a higher number only", readSeq, 0)
    .option("--until <number>", "the last entry; else the last there is", readSeq)
    .action(
      cli.action(async ({ after, until }: ExportOptions) => {
        const { api } = await cli.connect();
        await api.exportAudit(after, until, (text) => void cli.terminal.stdout.write(text));
        return 0;
      }),
    );
  addExamples(save, [["holdover audit export > audit.jsonl", "to be kept elsewhere"]]);
}

async function showVerdict(cli: Cli, { file, key }: VerifyOptions): Promise<number> {
  if (file !== undefined) {
    if (key === undefined) {
      throw new HoldoverError("USAGE_INVALID", {
        problem: "With --file the public key is needed too.",
        remedy: "Name it: --key FILE, a copy of audit-key.pub in the state directory.",
      });
    }
    const at = (name: string) => resolve(cli.terminal.cwd, name);
    const { from, seq, hash, atMs, publicKey } = await verifyAuditFile(at(file), at(key));
    if (cli.json) cli.printJson({ after: from.seq, until: seq, head: hash, atMs, publicKey });
    else {
      const signed = `signed ${new Date(atMs).toISOString()} with the key ${publicKey}`;
      cli.print(`The export is whole: entries ${from.seq + 1} to ${seq}, head ${hash}, ${signed}`);
    }
    return 0;
  }
  if (key !== undefined) {
    throw new HoldoverError("USAGE_INVALID", {
      problem: "--key goes with --file.",
      remedy: "Name the export: --file FILE.",
    });
  }
  const { api } = await cli.connect();
  const verdict = await api.verifyAudit();
  if (cli.json) cli.printJson(verdict);
  else {
    const { signed } = verdict;
    const by = signed ? `signed up to entry ${signed.entries} with the key ${signed.publicKey}` : "not signed yet";
    cli.print(`The audit chain is whole: ${verdict.entries} entries, head ${verdict.head}, ${by}`);
  }
  return 0;
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
