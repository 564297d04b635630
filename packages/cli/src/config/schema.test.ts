import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { configSchemaText, knownKeysAt, configSchema } from "./schema.ts";
import { suggestion } from "./suggestion.ts";

test("schema/holdover.schema.json is what the configuration's rules generate (else run: node scripts/schema.ts && npm run format)", async () => {
  const file = new URL("../../schema/holdover.schema.json", import.meta.url);
  // As values: the formatter lays the file out in its own way.
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual(JSON.parse(configSchemaText()));
});

test("known keys are those of every branch of a union", () => {
  expect(knownKeysAt(configSchema(), ["services", "x", "session", "key", 0])).toEqual([
    "header",
    "query",
    "path",
    "cookie",
  ]);
  expect(knownKeysAt(configSchema(), ["services", "x", "nonsense"])).toEqual([]);
});

test("a word is suggested for one that is a few letters off, and none for one that is not", () => {
  const known = ["command", "hosts", "path", "env"];
  expect(suggestion("comand", known)).toBe("command");
  expect(suggestion("ocmmand", known)).toBe("command");
  expect(suggestion("Hosts", known)).toBe("hosts");
  expect(suggestion("evn", known)).toBe("env");
  expect(suggestion("volume", known)).toBeUndefined();
});
