import { holdoverConfig } from "@holdover/core";
import type { Node } from "yaml";
import { rangeOf, sourceOf, spotOf, type ConfigDocument } from "./document.ts";
import type { ConfigIssue } from "./issue.ts";
import { configSchema, knownKeysAt, schemasAt, type JsonSchema } from "./schema.ts";
import { suggestion } from "./suggestion.ts";

type ZodIssues = NonNullable<ReturnType<typeof holdoverConfig.safeParse>["error"]>["issues"];
type ZodIssue = ZodIssues[number];
type Path = readonly PropertyKey[];

interface Context {
  readonly document: ConfigDocument;
  readonly schema: JsonSchema;
}

/** What to show for a key for which the schema has neither an example nor a default. */
const EXAMPLES: Readonly<Record<string, string>> = {
  services: "{ rooms: { command: node server.js } }",
  command: "node server.js",
  hosts: "[chat.example.com]",
  env: "{ NODE_ENV: production }",
  gate: "{ command: node check.js }",
  session: "{ linger: 60s }",
  key: "[{ path: /rooms/:room }]",
  health: "{ path: /health }",
  retention: "{ policy: budget }",
  disconnects: "{ atOnce: 5% }",
  limits: "{ headBytes: 16384 }",
  dir: ".",
  path: "/",
  header: "x-room",
  query: "room",
  cookie: "room",
  capacity: "100",
};

/** Turns what zod found into sentences with a place in the file. At least one comes back for each kind of mistake. */
export function explain(document: ConfigDocument, found: ZodIssues): ConfigIssue[] {
  const context: Context = { document, schema: configSchema() };
  const meant = new Set<string>();
  const explained = found
    // Unknown keys first: a key that was only misspelt is not missing as well.
    .toSorted((a, b) => Number(b.code === "unrecognized_keys") - Number(a.code === "unrecognized_keys"))
    .flatMap((issue) => explainOne(context, issue, meant));
  // What stands under an anchor is wrong once, however often it is referred to.
  const once = new Map(explained.map((issue) => [`${issue.line}:${issue.column} ${issue.problem}`, issue]));
  return [...once.values()].toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function explainOne(context: Context, issue: ZodIssue, meant: Set<string>): ConfigIssue[] {
  const { path } = issue;
  const value = valueAt(context.document.value, path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey(context, path, key, meant));
  }
  if (issue.code === "invalid_union" && value !== undefined) {
    if (issue.errors.length === 0) return [notOneOf(context, path, issue)];
    const types = issue.errors.map((branch) => rootType(branch));
    if (!types.includes(undefined))
      return [wrongType(context, path, value, types.map(phrase).toReversed().join(" or "))];
    return branchOf(issue.errors).flatMap((inner) =>
      explainOne(context, { ...inner, path: [...path, ...inner.path] }, meant),
    );
  }
  if (issue.code === "invalid_key") return [badKey(context, path, ruleOf(issue.message))];
  if (value === undefined) return meant.has(dotted(path)) ? [] : [missing(context, path)];
  return [wrongValue(context, issue, value)];
}

function unknownKey(context: Context, path: Path, key: string, meant: Set<string>): ConfigIssue {
  const { document } = context;
  const known = knownKeysAt(context.schema, path);
  const at = rangeOf(document, spotOf(document, [...path, key]).key);
  if (known.includes(key)) {
    const others = known.filter((other) => other !== key && valueAt(document.value, [...path, other]) !== undefined);
    return {
      ...at,
      problem: `\`${key}\` cannot stand beside ${quoted(others)}`,
      remedy: typeof path.at(-1) === "number" ? "Make each a list entry of its own." : `Take one of them out.`,
    };
  }
  const near = suggestion(key, known);
  if (near) meant.add(dotted([...path, near]));
  return {
    ...at,
    problem: near ? `unknown key \`${key}\`; did you mean \`${near}\`?` : `unknown key \`${key}\``,
    remedy: near ? `Write \`${near}\`, or take the line out.` : `Take it out; known here: ${known.join(", ")}.`,
  };
}

function missing(context: Context, path: Path): ConfigIssue {
  const { document } = context;
  const spot = spotOf(document, path.slice(0, -1));
  const owner = path.length > 1 ? `\`${nameOf(path.slice(0, -1))}\`` : "the file";
  return {
    ...rangeOf(document, spot.key ?? spot.value),
    problem: `${owner} has no \`${nameOf(path)}\``,
    remedy: `Add it, for example \`${nameOf(path)}: ${exampleAt(context, path)}\`.`,
  };
}

function badKey(context: Context, path: Path, rule: string | undefined): ConfigIssue {
  return {
    ...rangeOf(context.document, spotOf(context.document, path).key),
    problem: `\`${nameOf(path)}\` cannot be a name here${rule ? `: ${rule}` : ""}`,
    remedy: "Rename it.",
  };
}

function notOneOf(context: Context, path: Path, issue: ZodIssue & { code: "invalid_union" }): ConfigIssue {
  const value = valueAt(context.document.value, path);
  const options = optionsOf(issue);
  const near = typeof value === "string" ? suggestion(value, options) : undefined;
  return {
    ...place(context, path),
    problem: `\`${nameOf(path)}\` cannot be ${shown(value)}${near ? `; did you mean ${near}?` : ""}`,
    remedy: `Write one of: ${options.join(", ")}.`,
  };
}

function wrongType(context: Context, path: Path, value: unknown, wanted: string): ConfigIssue {
  return {
    ...place(context, path),
    problem: `${subject(path)} is ${shown(value)}, and has to be ${wanted}`,
    remedy: quoting(context, path, value) ?? example(context, path),
  };
}

function wrongValue(context: Context, issue: ZodIssue, value: unknown): ConfigIssue {
  const { path } = issue;
  const at = place(context, path);
  const name = subject(path);
  if (issue.code === "invalid_type") {
    const whole = schemasAt(context.schema, path).some(({ type }) => type === "integer");
    return wrongType(context, path, value, phrase(whole ? "int" : issue.expected));
  }
  if (value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0)) {
    return { ...at, problem: `${name} is empty`, remedy: example(context, path) };
  }
  if (issue.code === "too_small" || issue.code === "too_big") {
    return {
      ...at,
      problem: `${name} is ${String(value)}, which is out of range`,
      remedy: `${rangeAt(context, path)}.`,
    };
  }
  if (issue.code === "invalid_format" && issue.format === "starts_with") {
    return { ...at, problem: `${name} is ${shown(value)}, and has to start with /`, remedy: example(context, path) };
  }
  const rule = ruleOf(issue.message);
  // Core's rules are either advice (write …), or what is wrong with the advice after a semicolon, or what holds.
  if (rule?.startsWith("write ")) {
    return { ...at, problem: `${name} is ${shown(value)}, which does not do`, remedy: `${capital(rule)}.` };
  }
  const [problem, advice] = rule?.split("; ", 2) ?? [];
  if (advice !== undefined) return { ...at, problem: `${name}: ${problem}`, remedy: `${capital(advice)}.` };
  return { ...at, problem: `${name} is ${shown(value)}${rule ? `: ${rule}` : ""}`, remedy: example(context, path) };
}

/** A message that core wrote itself; what zod would say by itself tells a user too little. */
function ruleOf(message: string): string | undefined {
  return /^(Invalid|Too (small|big)|Unrecognized)\b/.test(message) ? undefined : message;
}

/** What a branch of a union wants instead, if the type is all that it minds. */
function rootType(branch: ZodIssues): string | undefined {
  const [only] = branch;
  return only?.code === "invalid_type" && only.path.length === 0 ? only.expected : undefined;
}

/** For text that YAML has read as a number or a truth value: quotes, or a unit, whichever makes it right. */
function quoting(context: Context, path: Path, value: unknown): string | undefined {
  if (typeof value !== "number" && typeof value !== "boolean") return undefined;
  const source = sourceOf(spotOf(context.document, path).value) ?? String(value);
  const label = typeof path.at(-1) === "number" ? "" : `${nameOf(path)}: `;
  if (accepts(context, path, source)) return `Put it in quotes: \`${label}"${source}"\`.`;
  if (accepts(context, path, `${source}s`)) return `Add a unit, for example \`${nameOf(path)}: ${source}s\`.`;
  return undefined;
}

/** Whether the file would have nothing wrong at a path with another value there. */
function accepts(context: Context, path: Path, candidate: unknown): boolean {
  const copy: unknown = structuredClone(context.document.value);
  const holder = valueAt(copy, path.slice(0, -1));
  const last = path.at(-1);
  if (typeof holder !== "object" || holder === null || last === undefined) return false;
  Object.assign(holder, { [last]: candidate });
  const { error } = holdoverConfig.safeParse(copy);
  // A union tells of a mistake inside of it by its own path.
  return !error?.issues.some(
    (issue) => issue.path.length <= path.length && dotted(path).startsWith(dotted(issue.path)),
  );
}

/** The branch of a union that the writer most likely had in mind: the one that fits furthest. */
function branchOf(branches: readonly ZodIssues[]): ZodIssues {
  const misfit = (branch: ZodIssues) =>
    branch.reduce(
      (sum, issue) =>
        sum + (issue.path.length > 0 ? 1 : issue.code === "unrecognized_keys" ? 10 * issue.keys.length : 100),
      0,
    );
  const best = branches.reduce((a, b) => (misfit(b) < misfit(a) ? b : a));
  const unknown = best.filter((issue) => issue.code === "unrecognized_keys");
  // The key that only this branch asks for says nothing to somebody who misspelt it.
  return unknown.length > 0 ? unknown : best;
}

function optionsOf(issue: ZodIssue): string[] {
  return "options" in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
}

function subject(path: Path): string {
  return path.length > 0 ? `\`${nameOf(path)}\`` : "the file";
}

function example(context: Context, path: Path): string {
  const label = path.length === 0 || typeof path.at(-1) === "number" ? "" : `${nameOf(path)}: `;
  return `Write for example \`${label}${exampleAt(context, path)}\`.`;
}

function place(context: Context, path: Path): ReturnType<typeof rangeOf> {
  const spot = spotOf(context.document, path);
  const empty = spot.value?.range && spot.value.range[0] === spot.value.range[1];
  const node: Node | undefined = empty ? (spot.key ?? spot.value) : (spot.value ?? spot.key);
  return rangeOf(context.document, node);
}

function exampleAt(context: Context, path: Path): string {
  const name = String(path.at(-1) ?? "services");
  const isService = path.length === 2 && path[0] === "services";
  if (isService) return "{ command: node server.js }";
  if (path.length === 0) return `services: ${EXAMPLES["services"] ?? ""}`;
  const schemas = schemasAt(context.schema, path);
  const only = schemas.find((schema) => schema.const !== undefined)?.const;
  if (only !== undefined) return scalarText(only);
  const given = schemas.flatMap((schema) => schema.examples ?? []);
  if (given.length > 0) return scalarText(given[1] ?? given[0]);
  if (name in EXAMPLES) return EXAMPLES[name] ?? "";
  const preset = schemas.find((schema) => schema.default !== undefined)?.default;
  return preset === undefined ? "text" : scalarText(preset);
}

function rangeAt(context: Context, path: Path): string {
  const schema = schemasAt(context.schema, path).find(
    ({ minimum, exclusiveMinimum }) => minimum !== undefined || exclusiveMinimum !== undefined,
  );
  const what = schema?.type === "number" ? "a number" : "a whole number";
  const above = schema?.exclusiveMinimum;
  const from = above === undefined ? `from ${schema?.minimum ?? 0}` : `above ${above}`;
  const below = schema?.exclusiveMaximum;
  if (below !== undefined) return `Write ${what} ${from} and below ${below}`;
  const most = schema?.maximum;
  if (most !== undefined && most < Number.MAX_SAFE_INTEGER)
    return `Write ${what} ${from} ${above === undefined ? "to" : "and up to"} ${most}`;
  return above === undefined ? `Write ${what} ${from} up` : `Write ${what} ${from}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function scalarText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function phrase(expected: string | undefined): string {
  const phrases: Record<string, string> = {
    string: "text",
    number: "a number",
    int: "a whole number",
    boolean: "true or false",
    array: "a list",
    object: "a map",
    record: "a map",
  };
  return phrases[expected ?? ""] ?? "something else";
}

function shown(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "number") return `the number ${value}`;
  return JSON.stringify(typeof value === "string" && value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

/** The last name on a path; an entry of a list is called by its list: `command[1]`. */
function nameOf(path: Path): string {
  const last = path.at(-1);
  return typeof last === "number" ? `${String(path.at(-2))}[${last}]` : String(last);
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(", ");
}

function dotted(path: Path): string {
  return path.map(String).join("\n");
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}
