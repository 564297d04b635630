import { glob, readFile } from "node:fs/promises";
import { expect, test } from "vitest";

test("docs/audit.md tells of every kind of entry that the sources write", async () => {
  const documented = await readFile(new URL("../docs/audit.md", import.meta.url), "utf8");
  const kinds = new Set<string>();
  for await (const file of glob("packages/{control,cli}/src/**/*.ts", {
    exclude: ["**/*.test.ts", "**/*fixture.ts"],
  })) {
    const source = await readFile(file, "utf8");
    for (const [, kind = ""] of source.matchAll(/kind: "([a-z]+\.[a-z-]+)"/g)) kinds.add(kind);
  }
  expect(kinds.size).toBeGreaterThan(15);
  expect([...kinds].filter((kind) => !documented.includes(`\`${kind}\``))).toEqual([]);
});
