import { isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import type { Document, Node, Pair, YAMLError, YAMLMap } from "yaml";
import type { ConfigIssue, Position } from "./issue.ts";

/** Aliases a file may unfold to; a bomb of nested ones passes this after a few levels. */
const MAX_ALIASES = 100;
/** One wrong character makes many syntax errors; the first ones tell. */
const MAX_SYNTAX_ISSUES = 10;

/** A YAML file as text, tree and plain value at once, so that a wrong value can be shown where it stands. */
export interface ConfigDocument {
  readonly text: string;
  readonly tree: Document.Parsed;
  readonly value: unknown;
  readonly lines: LineCounter;
}

export type Parsed =
  | { readonly ok: true; readonly document: ConfigDocument }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** Reads YAML 1.2 with merge keys. Never throws: whatever is wrong comes back with its line and column. */
export function parseConfigText(text: string): Parsed {
  const lines = new LineCounter();
  const refuse = (offset: number, problem: string, remedy: string): Parsed => ({
    ok: false,
    issues: [{ ...positionAt(lines, offset), length: 1, problem, remedy }],
  });
  const control = controlCharacterIn(text);
  if (control !== undefined) {
    const before = text.slice(0, control).split("\n");
    const code = text.charCodeAt(control).toString(16).padStart(4, "0").toUpperCase();
    const issue: ConfigIssue = {
      line: before.length,
      column: (before.at(-1)?.length ?? 0) + 1,
      length: 1,
      problem: `the character U+${code} cannot stand in YAML`,
      remedy: "Write the file as plain text in UTF-8.",
    };
    return { ok: false, issues: [issue] };
  }
  try {
    // Keys are compared here and not by the parser, which compares each with each: a long file took minutes.
    const tree = parseDocument(text, {
      lineCounter: lines,
      uniqueKeys: false,
      stringKeys: true,
      merge: true,
      prettyErrors: false,
    });
    const problems = [...tree.errors, ...tree.warnings];
    if (problems.length > 0) return { ok: false, issues: syntaxIssues(problems, lines) };
    const wrong = [...doubledKeys(tree, lines), ...danglingAliases(tree, lines)];
    if (wrong.length > 0) return { ok: false, issues: wrong };
    return { ok: true, document: { text, tree, value: tree.toJS({ maxAliasCount: MAX_ALIASES }), lines } };
  } catch (error) {
    if (error instanceof RangeError) return refuse(0, TOO_DEEP.problem, TOO_DEEP.remedy);
    if (error instanceof ReferenceError) {
      const offset = Math.max(0, text.search(/(?<=[\s,[{])\*\S/));
      return refuse(
        offset,
        `its aliases unfold to more than ${MAX_ALIASES} values`,
        "Write out what the aliases stand for.",
      );
    }
    throw error;
  }
}

/** Where an offset into the text stands; line and column count from 1. */
function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** What stands at a path: its key, its value, and how far the path could be followed. */
export interface Spot {
  /** The key of the deepest map entry on the path that is really there. */
  readonly key: Node | undefined;
  /** The value at the end of the path; undefined where the path leads nowhere. */
  readonly value: Node | undefined;
}

export function spotOf(document: ConfigDocument, path: readonly PropertyKey[]): Spot {
  let key: Node | undefined;
  let value: Node | undefined = document.tree.contents ?? undefined;
  for (const part of path) {
    const holder: Node | undefined = isAlias(value) ? value.resolve(document.tree) : value;
    if (isMap(holder)) {
      const pair = pairOf(document, holder, String(part));
      if (!pair) return { key, value: undefined };
      key = isNode(pair.key) ? pair.key : key;
      value = isNode(pair.value) ? pair.value : undefined;
    } else if (isSeq(holder)) {
      const item: unknown = holder.items[Number(part)];
      value = isNode(item) ? item : undefined;
    } else {
      return { key, value: undefined };
    }
  }
  return { key, value };
}

/** Position and length of the node that an issue is about; the start of the file where there is none. */
export function rangeOf(document: ConfigDocument, node: Node | undefined): Position & { readonly length: number } {
  const range = node?.range;
  if (!range) return { line: 1, column: 1, length: 1 };
  return { ...positionAt(document.lines, range[0]), length: Math.max(1, range[1] - range[0]) };
}

/** The text of a scalar as it stands in the file: `1.0` and not the number 1. */
export function sourceOf(node: Node | undefined): string | undefined {
  return isScalar(node) && typeof node.source === "string" ? node.source : undefined;
}

function pairOf(document: ConfigDocument, map: YAMLMap, name: string): Pair | undefined {
  const own = map.items.find((pair) => keyText(pair) === name);
  if (own) return own;
  for (const pair of map.items) {
    if (keyText(pair) !== "<<") continue;
    const merged = isAlias(pair.value) ? pair.value.resolve(document.tree) : pair.value;
    const found = isMap(merged) ? pairOf(document, merged, name) : undefined;
    if (found) return found;
  }
  return undefined;
}

function keyText(pair: Pair): string | undefined {
  if (!isScalar(pair.key)) return undefined;
  // A merge key's value is a symbol.
  return typeof pair.key.value === "symbol" ? "<<" : String(pair.key.value);
}

function doubledKeys(tree: Document.Parsed, lines: LineCounter): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  visit(tree, {
    Map(_, map) {
      const seen = new Map<string, Position>();
      for (const pair of map.items) {
        const name = isPair(pair) ? keyText(pair) : undefined;
        const range = isNode(pair.key) ? pair.key.range : undefined;
        if (name === undefined || name === "<<" || !range) continue;
        const at = positionAt(lines, range[0]);
        const first = seen.get(name);
        if (first) {
          issues.push({
            ...at,
            length: range[1] - range[0],
            problem: `the key \`${name}\` stands here a second time`,
            remedy: `Keep one of the two; the first is on line ${first.line}.`,
          });
        } else seen.set(name, at);
      }
    },
  });
  return issues;
}

function danglingAliases(tree: Document.Parsed, lines: LineCounter): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const known = new Set<string>();
  visit(tree, {
    Node(_, node) {
      if ("anchor" in node && node.anchor !== undefined) known.add(node.anchor);
    },
    Alias(_, alias) {
      if (known.has(alias.source)) return;
      issues.push({
        ...positionAt(lines, alias.range?.[0] ?? 0),
        length: alias.source.length + 1,
        problem: `the alias \`*${alias.source}\` stands for nothing`,
        remedy: `Declare \`&${alias.source}\` before it, or put the text in quotes.`,
      });
    },
  });
  return issues;
}

function syntaxIssues(errors: readonly YAMLError[], lines: LineCounter): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const error of errors.toSorted((a, b) => a.pos[0] - b.pos[0])) {
    const at = positionAt(lines, error.pos[0]);
    if (issues.some((issue) => issue.line === at.line)) continue;
    issues.push({ ...at, length: Math.max(1, error.pos[1] - error.pos[0]), ...syntaxWords(error) });
    if (issues.length === MAX_SYNTAX_ISSUES) break;
  }
  return issues;
}

type Words = Pick<ConfigIssue, "problem" | "remedy">;

const TOO_DEEP: Words = {
  problem: "it is nested too deeply to be read",
  remedy: "Write lists and maps a few levels deep only.",
};
const RUN_ON: Words = {
  problem: "here a key or a value goes on where YAML does not let it",
  remedy: "Write `key: value` with a space after the colon; a value that contains `: ` goes in quotes.",
};

/** Our words for the mistakes that people make; any other comes in the parser's. */
const SYNTAX: Partial<Record<YAMLError["code"], Words>> = {
  RESOURCE_EXHAUSTION: TOO_DEEP,
  TAB_AS_INDENT: {
    problem: "a tab stands where YAML wants spaces",
    remedy: "Indent with spaces, for example two a level.",
  },
  BAD_INDENT: {
    problem: "this line is not indented like the ones it belongs to",
    remedy: "Give all keys of one map, and all entries of one list, the same indentation.",
  },
  MULTIPLE_DOCS: {
    problem: "a second document begins here",
    remedy: "Keep one document in the file: take out the line `---`.",
  },
  TAG_RESOLVE_FAILED: {
    problem: "a tag (a word that begins with !) means nothing here",
    remedy: "Take it out; text that begins with ! goes in quotes.",
  },
  NON_STRING_KEY: { problem: "a key has to be text", remedy: "Write a plain word in front of the colon." },
  MULTILINE_IMPLICIT_KEY: RUN_ON,
  BLOCK_AS_IMPLICIT_KEY: RUN_ON,
};

function syntaxWords({ code, message }: YAMLError): Words {
  if (/call stack/i.test(message)) return TOO_DEEP;
  const unclosed = /must be sufficiently indented and end with a (.)/.exec(message)?.[1];
  if (unclosed !== undefined) {
    return { problem: `a \`${unclosed}\` is missing`, remedy: `Close what is open with a \`${unclosed}\`.` };
  }
  if (code === "MISSING_CHAR" && message.includes("quote")) {
    return { problem: "a quote was opened before this and is not closed", remedy: "Close it with the same quote." };
  }
  return (
    SYNTAX[code] ?? {
      problem: lowered(message),
      remedy: "Correct the YAML here; values with special characters go in quotes.",
    }
  );
}

function lowered(message: string): string {
  const line = message.split("\n", 1)[0] ?? "";
  return line.charAt(0).toLowerCase() + line.slice(1);
}

/** The offset of the first character that YAML forbids (YAML 1.2, 5.1). */
function controlCharacterIn(text: string): number | undefined {
  for (let offset = 0; offset < text.length; offset++) {
    const code = text.charCodeAt(offset);
    if (code === 0x7f || (code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d)) return offset;
  }
  return undefined;
}
