import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";

/** A command that seems to start an application, and what says so. */
export interface StartCommand {
  readonly command: string;
  /** Undefined where nothing was found and the command is a mere example. */
  readonly from: string | undefined;
  /** Whether the start script chooses a port itself, so that the one in PORT would not be listened to. */
  readonly choosesPort: boolean;
}

/** Programs that are on the PATH of Holdover too; others an npm script finds in node_modules. */
const PLAIN = /^(node|python3?|bun|deno|ruby|java|\.{0,2}\/[\w./-]+)( [\w./@:=,+-]+)*$/;
const MAINS = [
  [
    "node",
    ["server", "index", "app", "main", "src/server", "src/index", "src/main", "src/app"],
    ["js", "mjs", "cjs", "ts"],
  ],
  ["python3", ["server", "main", "app"], ["py"]],
] as const;

/** Looks where applications say it: Procfile, package.json, Dockerfile, then the file that is called like a main one. */
export async function startCommandIn(dir: string): Promise<StartCommand> {
  const read = (name: string) => readFile(join(dir, name), "utf8").catch(() => "");
  const web = /^web:\s*(.+?)\s*$/m.exec(await read("Procfile"))?.[1];
  if (web !== undefined && PLAIN.test(web)) return { command: web, from: "Procfile", choosesPort: false };
  const script = startScript(await read("package.json"));
  if (script !== undefined) {
    // npm reads the variables, quotes and && that no shell reads here, and knows where the project's own programs are.
    const choosesPort = /\bPORT=\d|(--port|-p)[= ]\d/.test(script);
    return { command: PLAIN.test(script) ? script : "npm start", from: "package.json", choosesPort };
  }
  const started = commandOfImage(await read("Dockerfile"));
  if (started !== undefined && PLAIN.test(started)) return { command: started, from: "Dockerfile", choosesPort: false };
  for (const [program, names, endings] of MAINS) {
    for (const file of names.flatMap((name) => endings.map((ending) => `${name}.${ending}`))) {
      if (await exists(join(dir, file))) return { command: `${program} ${file}`, from: file, choosesPort: false };
    }
  }
  const module = /^module\s+(\S+)/m.exec(await read("go.mod"))?.[1];
  if (module !== undefined) return { command: `./${basename(module)}`, from: "go.mod", choosesPort: false };
  return { command: "node server.js", from: undefined, choosesPort: false };
}

/** Undefined where there is none, or the file is no JSON. */
function startScript(text: string): string | undefined {
  try {
    const { scripts } = JSON.parse(text) as { scripts?: { start?: unknown } };
    return typeof scripts?.start === "string" ? scripts.start.trim() || undefined : undefined;
  } catch {
    return undefined;
  }
}

/** The last CMD of a Dockerfile in its exec form, which needs no shell either. */
function commandOfImage(dockerfile: string): string | undefined {
  const last = [...dockerfile.matchAll(/^CMD\s+(\[.*\])\s*$/gim)].at(-1)?.[1];
  try {
    const words: unknown = JSON.parse(last ?? "null");
    return Array.isArray(words) && words.every((word) => typeof word === "string") ? words.join(" ") : undefined;
  } catch {
    return undefined;
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}
