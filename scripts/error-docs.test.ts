import { readFile } from "node:fs/promises";
import { ERRORS } from "@holdover/core";
import { describe, expect, test } from "vitest";
import { errorPage, PLACEHOLDERS } from "./error-docs.ts";

describe("docs/errors.md", () => {
  test("is what the error table says; else run `node scripts/error-docs.ts > docs/errors.md`", async () => {
    const page = await readFile(new URL("../docs/errors.md", import.meta.url), "utf8");
    expect(page).toBe(errorPage());
  });

  test("explains every placeholder that a row has, and none that no row has", () => {
    const used = Object.values(ERRORS).flatMap(({ what, next }) =>
      [...`${what} ${next}`.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? ""),
    );
    expect(Object.keys(PLACEHOLDERS)).toEqual([...new Set(used)].toSorted());
  });

  test("has one row for each code, whatever its sentences contain", () => {
    const codes = [...errorPage().matchAll(/^\| `([A-Z_]+)` \| \d{3} \| [1-4] \| .+ \| .+ \|$/gm)].map(
      ([, code]) => code,
    );
    expect(codes).toEqual(Object.keys(ERRORS).toSorted());
  });
});
