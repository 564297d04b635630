import { readdirSync } from "node:fs";

/**
 * `npm run bench -- NAME …`: runs bench/NAME.ts, which exports `run(args)` and answers with the exit code. Its last line
 * with --json is one JSON object.
 */
interface Bench {
  readonly run: (args: string[]) => Promise<number>;
}

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && file !== "main.ts")
  .map((file) => file.slice(0, -".ts".length));
const [name, ...args] = process.argv.slice(2);

if (name === undefined || !names.includes(name)) {
  const asked = name === undefined ? "Which benchmark?" : `There is no benchmark ${name}.`;
  process.stderr.write(`${asked} Known: ${names.join(", ")}. Run: npm run bench -- NAME [--json]\n`);
  process.exitCode = 2;
} else {
  const bench = (await import(`./${name}.ts`)) as Partial<Bench>;
  if (bench.run) process.exitCode = await bench.run(args);
  else {
    process.stderr.write(`bench/${name}.ts is a part of other benchmarks and runs nothing by itself.\n`);
    process.exitCode = 2;
  }
}
