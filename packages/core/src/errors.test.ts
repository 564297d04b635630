import { describe, expect, test } from "vitest";
import {
  asHoldoverError,
  errorFromBody,
  ERRORS,
  HoldoverError,
  problemOf,
  type ErrorBody,
  type ErrorCode,
} from "./errors.ts";

const rows = Object.entries(ERRORS) as [ErrorCode, (typeof ERRORS)[ErrorCode]][];
const placeholdersOf = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");

describe("every row of the error table", () => {
  test.each(rows)(
    "%s is named in capitals and has an HTTP status and an exit code that are documented",
    (code, row) => {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      expect(row.status).toBeGreaterThanOrEqual(400);
      expect(row.status).toBeLessThan(600);
      expect([1, 2, 3, 4]).toContain(row.exit);
    },
  );

  test.each(rows)("%s says what happened in a sentence, or leads to the problem's own words", (_, { what }) => {
    expect(what).toMatch(/^([A-Z{].*\.|.*\{problem\})$/);
  });

  test.each(rows)("%s says what to do next in whole sentences", (_, { next }) => {
    // CONFIG_INVALID brings its own remedy: it depends on what was wrong.
    expect(next).toMatch(/^([A-Z].*\.|\{remedy\})$/);
  });

  test.each(rows)("%s has no brace that is not a placeholder", (_, { what, next }) => {
    expect(`${what}${next}`.replaceAll(/\{[a-z][A-Za-z]*\}/g, "")).not.toMatch(/[{}]/);
  });

  test.each(rows)("%s fills in all of its placeholders from the details", (code, { what, next }) => {
    const names = placeholdersOf(`${what} ${next}`);
    const error = new HoldoverError(code, Object.fromEntries(names.map((name) => [name, `<${name}>`])));
    expect(placeholdersOf(`${error.message} ${error.next}`)).toEqual([]);
    for (const name of names) expect(`${error.message} ${error.next}`).toContain(`<${name}>`);
  });
});

describe("an error", () => {
  test("carries code, status, exit code, both sentences and the cause", () => {
    const cause = new Error("disk");
    const error = new HoldoverError("STORE_FAILED", { file: "pins.db", problem: "disk full" }, { cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: "HoldoverError",
      code: "STORE_FAILED",
      message: "The database pins.db refused a write: disk full",
      next: "Free disk space or mend its permissions; what was acknowledged before is kept.",
      status: 503,
      exit: 1,
      cause,
    });
  });

  test("fills a number in, and takes dollar signs and braces of a detail as they are", () => {
    expect(new HoldoverError("SESSION_LIMIT", { limit: 0 }).message).toBe("This router already holds 0 sessions.");
    expect(new HoldoverError("REQUEST_INVALID", { problem: "$& {count}" }).message).toBe("$& {count}");
  });

  test("shows the placeholder of a detail that is missing, rather than nothing", () => {
    expect(new HoldoverError("SERVICE_UNKNOWN").message).toBe("There is no service {service}.");
  });

  test("comes back from the wire as it went", () => {
    const error = new HoldoverError("RELEASE_UNKNOWN", { service: "rooms", release: "v9", known: "v1" });
    const body = JSON.parse(JSON.stringify(error.body())) as ErrorBody;
    expect(body).toEqual({
      code: "RELEASE_UNKNOWN",
      what: "Service rooms has no release v9.",
      next: "Its releases: v1.",
      details: { service: "rooms", release: "v9", known: "v1" },
    });
    expect(errorFromBody(body).body()).toEqual(body);
  });

  test.each(["FROM_THE_FUTURE", "constructor", "toString"])(
    "of the unknown code %s keeps what the other end said",
    (code) => {
      const body = { code: code as ErrorCode, what: "The moon is full.", next: "Wait.", details: { problem: "moon" } };
      expect(errorFromBody(body)).toMatchObject({
        code: "INTERNAL",
        message: "Something went wrong inside Holdover: The moon is full.",
      });
    },
  );
});

describe("whatever was thrown is normalised once", () => {
  test("an error of ours stays the very same", () => {
    const error = new HoldoverError("LINK_DOWN");
    expect(asHoldoverError(error)).toBe(error);
  });

  test.each([
    [new TypeError("no such thing"), "no such thing"],
    ["a text", "a text"],
    [undefined, "undefined"],
    [null, "null"],
    [{ a: 1 }, "[object Object]"],
  ])("%o becomes INTERNAL, with its words and itself as the cause", (thrown, words) => {
    const error = asHoldoverError(thrown);
    expect(error.code).toBe("INTERNAL");
    expect(error.message).toBe(`Something went wrong inside Holdover: ${words}`);
    expect(error.cause).toBe(thrown);
    expect(problemOf(thrown)).toBe(words);
  });
});
