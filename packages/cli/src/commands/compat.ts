import { resolve } from "node:path";
import { writeFile } from "node:fs/promises";
import {
  findingsOf,
  findingText,
  HoldoverError,
  problemOf,
  type DirectionReport,
  type FormatTrialReport,
} from "@holdover/core";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { readSamples, tryModules } from "../format-modules.ts";
import { addExamples } from "../help-text.ts";
import { printable, table, type Cell } from "../output/table.ts";
import { wrapped } from "../output/wrap.ts";
import { serviceOf } from "../target.ts";

/** What was found, whoever has tried it. */
interface Compatibility extends FormatTrialReport {
  readonly service: string;
  readonly from: string;
  readonly to: string;
  readonly reads: boolean;
  readonly readsBack: boolean;
  readonly problems: readonly string[];
}

interface CompatOptions {
  readonly service?: string;
  readonly samples?: string;
  readonly save?: string;
}

export function addCompat(program: Command, cli: Cli): void {
  const command = program
    .command("compat")
    .description("Try whether one release reads what sessions keep on another, and whether a rollback loses nothing")
    .argument("[from]", "the release that sessions are on, and that may be rolled back to")
    .argument("[to]", "the release that is to follow it; both have to run")
    .option("--service <service>", "may be left out where the configuration has just one")
    .option("--samples <file>", "try modules that export session formats on this file; nothing has to run")
    .option("--save <file>", "only write such a file, of what live sessions keep, redacted")
    .action(
      cli.action(async (from: string | undefined, to: string | undefined, options: CompatOptions) => {
        if (options.save !== undefined) return save(cli, options.save, options);
        if (from === undefined || to === undefined) throw twoNeeded();
        if (options.samples === undefined && [from, to].some((one) => /[/\\]|\.[cm]?[jt]s$/.test(one)))
          throw samplesNeeded();
        const view =
          options.samples === undefined
            ? await ofReleases(cli, from, to, options)
            : await ofModules(cli, from, to, options.samples);
        if (cli.json) cli.printJson(view);
        else for (const line of lines(cli, view)) cli.print(line);
        return view.reads && view.readsBack ? 0 : 1;
      }),
    );
  addExamples(command, [
    ["holdover deploy --release v2 --no-promote", "both run: v2 takes no session yet"],
    ["holdover compat v1 v2", "exits 1 if state would be lost"],
    ["holdover compat --save samples.json", "for a CI job"],
  ]);
}

function samplesNeeded(): HoldoverError {
  return new HoldoverError("USAGE_INVALID", {
    problem: "Two builds are named, and nothing to try them on.",
    remedy: "Add --samples FILE: `holdover compat --save FILE` takes it from live sessions.",
  });
}

function twoNeeded(): HoldoverError {
  return new HoldoverError("USAGE_INVALID", {
    problem: "Which two releases are meant?",
    remedy: "Name both: holdover compat <from> <to>.",
  });
}

/** The file is its owner's alone, and takes the place of the one before. */
async function save(cli: Cli, file: string, { service }: CompatOptions): Promise<number> {
  const { api, located } = await cli.connect();
  const { samples, withheld } = await api.samples(serviceOf(service, located));
  try {
    await writeFile(resolve(cli.terminal.cwd, file), `${JSON.stringify({ samples }, undefined, 2)}\n`, { mode: 0o600 });
  } catch (thrown) {
    const problem = `${file} cannot be written: ${problemOf(thrown)}.`;
    throw new HoldoverError("USAGE_INVALID", { problem, remedy: "Name a file in a directory that is there." });
  }
  if (cli.json) cli.printJson({ file, samples: samples.length, withheld });
  else {
    const kept = `${samples.length} ${samples.length === 1 ? "sample" : "samples"} in ${file}`;
    cli.print(withheld === 0 ? `${kept}.` : `${kept}; ${withheld} withheld: their formats have no \`redact\`.`);
  }
  return 0;
}

async function ofReleases(cli: Cli, from: string, to: string, { service }: CompatOptions): Promise<Compatibility> {
  const { api, located } = await cli.connect();
  return api.compatibility(serviceOf(service, located), from, to);
}

/** In a CI job, with nothing but the two builds and a file. */
async function ofModules(cli: Cli, from: string, to: string, file: string): Promise<Compatibility> {
  const moduleOf = (name: string) => ({ name, file: resolve(cli.terminal.cwd, name) });
  const samples = await readSamples(resolve(cli.terminal.cwd, file));
  const report = await tryModules(moduleOf(from), moduleOf(to), samples);
  const [forward, back] = [findingsOf(report, "forward"), findingsOf(report, "back")];
  return {
    service: file,
    from,
    to,
    reads: forward.length === 0,
    readsBack: back.length === 0,
    problems: [...forward, ...back].map(findingText),
    ...report,
  };
}

function lines(cli: Cli, view: Compatibility): string[] {
  const { from, to, samples, untried, formats, problems } = view;
  const asked =
    untried.length > 0 ? [`No instance of ${untried.join(", ")} has joined, so it could not be asked.`] : [];
  if (formats.length === 0) return [...asked, `Neither ${from} nor ${to} declares a session format: nothing to try.`];
  return [
    `${view.service}: ${samples} ${samples === 1 ? "value" : "values"} that sessions keep`,
    ...table(columnsOf(view), rowsOf(view), cli.paint, cli.width),
    ...problems.flatMap((problem) => wrapped(printable(`- ${problem}`), "  ", cli.width)),
    ...asked,
    verdict(view),
  ];
}

function columnsOf({ from, to }: Compatibility) {
  return [{ title: "FORMAT", shrinks: true }, { title: `${to} READS` }, { title: `${from} READS BACK` }];
}

function rowsOf({ formats, from }: Compatibility): Cell[][] {
  return formats.map(({ format, forward, back }) => {
    const own = back.find(({ release }) => release === from);
    return [format, cellOf(forward), own ? cellOf(own) : "–"];
  });
}

function cellOf({ tried, failed, failures }: DirectionReport): Cell {
  // What needs no sample to be known is wrong of all that is to come.
  if (failures.some(({ samples }) => samples === 0)) return { text: "no", style: "red" };
  if (failed > 0) return { text: `${tried - failed} of ${tried}`, style: "red" };
  return tried === 0 ? "nothing to try" : { text: `all ${tried}`, style: "green" };
}

function verdict({ from, to, reads, readsBack }: Compatibility): string {
  if (!reads) return `${to} cannot follow ${from}: it would be refused at the deploy.`;
  if (readsBack) return `${to} can follow ${from}, and a rollback loses nothing.`;
  return `${to} can follow ${from}, but a rollback would lose state: the deploy needs --allow-state-loss.`;
}
