import { isCount, isName } from "./checkpoint.ts";
import { HoldoverError, problemOf, type ErrorCode } from "./errors.ts";
import type { SchemaIssue, StandardSchema } from "./standard-schema.ts";

// In every JavaScript runtime, though not in the language: https://encoding.spec.whatwg.org
declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new (label: string, options: { fatal: boolean }) => { decode(bytes: Uint8Array): string };

/** A value as a store keeps it. */
export interface EncodedValue {
  readonly format: string;
  readonly version: number;
  /** JSON in UTF-8. */
  readonly bytes: Uint8Array;
}

/** Takes a value from one version to the next, or to the one before. Without side effects: it may run more than once. */
type Step = (value: never) => unknown;

export interface SessionFormatDefinition<Value> {
  /** What the format is called in every release; 1 to 128 bytes without control characters. */
  readonly name: string;
  /** The version that this release writes: a whole number from 1. */
  readonly version: number;
  /** Checks a value of `version`, as JSON has it. Has to answer at once: a promise is refused. */
  readonly schema: StandardSchema<Value>;
  /** By the version that it starts from: `2` makes a value of version 3. Those below `version`, without a gap. */
  readonly upgrade?: Readonly<Record<number, Step>>;
  /** By the version that it starts from: `3` makes a value of version 2. `version` and those below, without a gap. */
  readonly downgrade?: Readonly<Record<number, Step>>;
  /**
   * The value without what must not leave the store: samples that are kept outside of it, for a CI job or to be looked at,
   * have gone through here. Has to fit the schema still. Without it no sample of the format is kept.
   */
  readonly redact?: (value: Value) => Value;
}

/** What one release says of one kind of value that a session keeps. */
export interface SessionFormat<Value> {
  readonly name: string;
  readonly version: number;
  /** The oldest version that it can read, by its upgrades. */
  readonly oldest: number;
  /** The lowest version that it can write, by its downgrades. */
  readonly lowest: number;
  /**
   * The value as JSON, after its schema has taken that JSON: what is written can be read back. A value that JSON would
   * change counts as changed.
   * @throws HoldoverError FORMAT_FAILED
   */
  encode(value: Value): EncodedValue;
  /**
   * A value of this version, or of an older one through its upgrades.
   * @throws HoldoverError FORMAT_UNKNOWN where no way leads to this version, FORMAT_FAILED where one failed
   */
  decode(encoded: EncodedValue): Value;
  /**
   * A value of this version as an older one has it, for a release that is rolled back to. The schema of that version is
   * not known here, so the result is checked when it is decoded there.
   * @throws HoldoverError FORMAT_UNKNOWN where its downgrades do not lead there, FORMAT_FAILED where one failed
   */
  downgrade(encoded: EncodedValue, version: number): EncodedValue;
  /**
   * A value in this version as it may be kept outside the store; undefined where the definition does not say how.
   * @throws HoldoverError FORMAT_UNKNOWN, FORMAT_FAILED
   */
  redact(encoded: EncodedValue): EncodedValue | undefined;
}

/** @throws HoldoverError FORMAT_FAILED for a definition that cannot work */
export function defineSessionFormat<Value>(definition: SessionFormatDefinition<Value>): SessionFormat<Value> {
  const { name, version, schema } = definition;
  const failed = (at: number, cause: Cause): HoldoverError => formatError("FORMAT_FAILED", name, at, cause);
  if (!isName(name)) throw failed(version, plain("its name is not 1 to 128 bytes without control characters"));
  if (!isCount(version)) throw failed(version, plain("its version is no whole number from 1"));
  if (!isStandardSchema(schema)) throw failed(version, plain("its schema is no Standard Schema of version 1"));
  const upgrades = stepsOf(definition.upgrade);
  const downgrades = stepsOf(definition.downgrade);
  const oldest = startOf(upgrades, version - 1);
  const lowest = startOf(downgrades, version) - 1;
  // A step that no chain reaches is a mistake that would be found out at a rollback.
  if (upgrades.size !== version - oldest || oldest < 1) {
    throw failed(version, plain(`its upgrades have a gap: ${listed(upgrades)} do not lead up to ${version}`));
  }
  if (downgrades.size !== version - lowest || lowest < 1) {
    throw failed(version, plain(`its downgrades have a gap: ${listed(downgrades)} do not lead down from ${version}`));
  }

  /** Takes a value along a chain, step by step. */
  function walk(value: unknown, from: number, to: number): unknown {
    const [steps, by, what] = from < to ? [upgrades, 1, "upgrade"] : [downgrades, -1, "downgrade"];
    let walked = value;
    for (let at = from; at !== to; at += by) {
      try {
        walked = steps.get(at)?.(walked as never);
      } catch (thrown) {
        throw failed(from, spoken(`the ${what} from ${at} to ${at + by} threw`, thrown));
      }
      if (isPromise(walked)) throw failed(from, plain(`the ${what} from ${at} to ${at + by} answers with a promise`));
    }
    return walked;
  }

  /** @param origin the version that the value came in, which is what an error names */
  function checked(value: unknown, origin: number): Value {
    let result;
    try {
      result = schema["~standard"].validate(value);
    } catch (thrown) {
      throw failed(origin, spoken(`the schema of version ${version} threw`, thrown));
    }
    if (isPromise(result)) throw failed(origin, plain(`the schema of version ${version} answers with a promise`));
    if (result.issues) throw failed(origin, misfit(version, result.issues));
    return result.value;
  }

  function parsed({ version: from, bytes }: EncodedValue): unknown {
    try {
      return JSON.parse(textOf(bytes));
    } catch (thrown) {
      // The words of JSON.parse quote what it read.
      throw failed(from, { ...plain("the stored bytes are no JSON in UTF-8"), thrown });
    }
  }

  function written(value: unknown, at: number): string {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (thrown) {
      throw failed(at, spoken("the value cannot be written as JSON", thrown));
    }
    if (text === undefined) throw failed(at, plain("the value cannot be written as JSON"));
    return text;
  }

  /** @throws HoldoverError FORMAT_UNKNOWN */
  function checkOrigin(encoded: EncodedValue): void {
    if (encoded.format !== name) {
      throw formatError("FORMAT_UNKNOWN", encoded.format, encoded.version, plain(`this is format ${name}`));
    }
    if (!isCount(encoded.version)) {
      throw formatError("FORMAT_UNKNOWN", name, encoded.version, plain("that is no version"));
    }
  }

  function encode(value: Value): EncodedValue {
    const text = written(value, version);
    checked(JSON.parse(text), version);
    return { format: name, version, bytes: new TextEncoder().encode(text) };
  }

  function decode(encoded: EncodedValue): Value {
    checkOrigin(encoded);
    const { version: from } = encoded;
    if (from > version) {
      const problem = `version ${version} is the newest that this release knows`;
      throw formatError("FORMAT_UNKNOWN", name, from, plain(problem));
    }
    if (from < oldest) {
      const problem = `the upgrades to version ${version} begin at ${oldest}`;
      throw formatError("FORMAT_UNKNOWN", name, from, plain(problem));
    }
    return checked(walk(parsed(encoded), from, version), from);
  }

  return {
    name,
    version,
    oldest,
    lowest,

    encode,
    decode,

    downgrade: (encoded, to) => {
      checkOrigin(encoded);
      const { version: from } = encoded;
      if (from > version || to < lowest || to > from) {
        const problem = `the downgrades of version ${version} lead down to ${lowest}, and version ${to} is wanted`;
        throw formatError("FORMAT_UNKNOWN", name, from, plain(problem));
      }
      const text = written(walk(parsed(encoded), from, to), from);
      return { format: name, version: to, bytes: new TextEncoder().encode(text) };
    },

    redact: (encoded) => {
      const { redact } = definition;
      if (!redact) return undefined;
      const value = decode(encoded);
      try {
        return encode(redact(value));
      } catch (thrown) {
        throw thrown instanceof HoldoverError ? thrown : failed(encoded.version, spoken("its redaction threw", thrown));
      }
    },
  };
}

/** @throws TypeError for bytes that are no UTF-8 */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** Why something failed: in full for the application, and without anything that may come out of a session's data. */
interface Cause {
  readonly problem: string;
  readonly redacted: string;
  readonly thrown?: unknown;
}

function plain(problem: string): Cause {
  return { problem, redacted: problem };
}

function spoken(what: string, thrown: unknown): Cause {
  const kind = thrown instanceof Error ? thrown.constructor.name : typeof thrown;
  return { problem: `${what}: ${problemOf(thrown)}`, redacted: `${what} (${kind})`, thrown };
}

/** Issues that are told of one value; more say no more. */
const MAX_ISSUES = 3;

function misfit(version: number, issues: readonly SchemaIssue[]): Cause {
  const what = `it does not fit the schema of version ${version}`;
  const told = issues.slice(0, MAX_ISSUES);
  const words = told.map((issue) => `${pathOf(issue, String)}: ${issue.message}`).join("; ");
  const paths = new Set(told.map((issue) => pathOf(issue, masked)));
  return { problem: `${what}: ${words}`, redacted: `${what} at ${[...paths].join(", ")}` };
}

function pathOf({ path = [] }: SchemaIssue, shown: (key: PropertyKey) => string): string {
  if (path.length === 0) return "the value itself";
  return path.map((part) => shown(typeof part === "object" ? part.key : part)).join(".");
}

/** Keys of a record, such as an address, are data; names of fields are not, and are what helps. */
function masked(key: PropertyKey): string {
  const text = String(key);
  return /^[A-Za-z_]\w{0,31}$/.test(text) ? text : "*";
}

function formatError(code: ErrorCode, format: string, version: number, cause: Cause): HoldoverError {
  const { problem, redacted, thrown } = cause;
  return new HoldoverError(code, { format, version, problem, redacted }, { cause: thrown });
}

/** An answer that comes later is no answer here. Nobody waits for it then, so that its refusal must not end the process. */
function isPromise(value: unknown): value is Promise<unknown> {
  if (!(value instanceof Promise)) return false;
  void value.catch(() => {});
  return true;
}

/** An application in plain JavaScript may give anything. */
function isStandardSchema(schema: unknown): boolean {
  if ((typeof schema !== "object" && typeof schema !== "function") || schema === null) return false;
  const standard: unknown = "~standard" in schema ? schema["~standard"] : undefined;
  return typeof standard === "object" && standard !== null && "version" in standard && standard.version === 1;
}

function stepsOf(given: Readonly<Record<number, Step>> = {}): ReadonlyMap<number, Step> {
  return new Map(Object.entries(given).map(([from, step]) => [Number(from), step]));
}

/** The lowest version from which the steps lead up to `last` without a gap; above `last` where there is none. */
function startOf(steps: ReadonlyMap<number, Step>, last: number): number {
  let start = last + 1;
  while (steps.has(start - 1)) start -= 1;
  return start;
}

function listed(steps: ReadonlyMap<number, Step>): string {
  return [...steps.keys()].join(", ");
}
