import { HoldoverError } from "@holdover/core";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CompatibilityView } from "../api-client.ts";
import { fakeApi, type FakeApi } from "../api-fixture.ts";
import { main } from "../main.ts";
import { fakeTerminal } from "../terminal-fixture.ts";

// commander imports node:process as a module, and that alone opens standard input.
afterAll(() => void process.stdin.destroy());

let api: FakeApi;
beforeEach(async () => {
  api = await fakeApi("services:\n  rooms:\n    dir: build\n    command: node server.js\n");
  await api.start();
});
afterEach(() => api.remove());

async function run(line: string) {
  const terminal = fakeTerminal({ cwd: api.dir });
  const exit = await main(line.split(" "), terminal);
  return { exit, out: terminal.out(), err: terminal.err() };
}

const answer = (service: string, value: unknown) =>
  api.handlers.set(`POST /v1/services/${service}/compatibility`, () => value);

const view = (given: Partial<CompatibilityView> = {}): CompatibilityView => ({
  service: "rooms",
  from: "v1",
  to: "v2",
  reads: true,
  readsBack: true,
  problems: [],
  samples: 3,
  untried: [],
  formats: [
    {
      format: "cart",
      forward: { tried: 3, failed: 0, failures: [] },
      back: [{ release: "v1", tried: 3, failed: 0, failures: [] }],
    },
    { format: "new one", forward: { tried: 0, failed: 0, failures: [] }, back: [] },
  ],
  ...given,
});

test("says that one release can follow the other, with exit code 0", async () => {
  answer("rooms", view());
  const { exit, out } = await run("compat v1 v2");
  expect(exit).toBe(0);
  expect(out).toBe(
    [
      "rooms: 3 values that sessions keep",
      "FORMAT   v2 READS        v1 READS BACK",
      "cart     all 3           all 3",
      "new one  nothing to try  –",
      "v2 can follow v1, and a rollback loses nothing.",
      "",
    ].join("\n"),
  );
  expect(api.calls.at(-1)?.body).toEqual({ from: "v1", to: "v2" });
});

test("says what is wrong, forward and back, with exit code 1; as JSON the whole answer", async () => {
  const problems = ["cart of version 1 cannot be read (1 of 3 samples): the upgrade from 1 to 2 threw (Error)"];
  const failures = [{ version: 1, samples: 1, reason: "the upgrade from 1 to 2 threw (Error)" }];
  const back = [{ release: "v1", tried: 2, failed: 2, failures: [{ version: 2, samples: 0, reason: "no downgrade" }] }];
  const wrong = view({
    reads: false,
    readsBack: false,
    problems,
    formats: [{ format: "cart", forward: { tried: 3, failed: 1, failures }, back }],
  });
  answer("rooms", wrong);
  const { exit, out } = await run("compat v1 v2 --service rooms");
  expect(exit).toBe(1);
  expect(out).toMatch(/^cart +2 of 3 +no$/m);
  expect(out).toContain(`- ${problems[0]}`);
  expect(out).toContain("v2 cannot follow v1: it would be refused at the deploy.\n");
  const json = await run("compat v1 v2 --json");
  expect([json.exit, JSON.parse(json.out)]).toEqual([1, wrong]);
  answer("rooms", view({ readsBack: false }));
  const lossy = await run("compat v1 v2");
  expect([lossy.exit, lossy.out]).toEqual([1, expect.stringContaining("needs --allow-state-loss")]);
});

test("says that there is nothing to try, whom nobody could ask, and what the API refuses", async () => {
  answer("rooms", view({ formats: [], samples: 0, untried: ["v1"] }));
  const { exit, out } = await run("compat v1 v2");
  expect([exit, out]).toEqual([
    0,
    "No instance of v1 has joined, so it could not be asked.\nNeither v1 nor v2 declares a session format: nothing to try.\n",
  ]);
  answer("rooms", new HoldoverError("RELEASE_COLD", { service: "rooms", release: "v1" }));
  expect(await run("compat v1 v2")).toMatchObject({ exit: 4, err: expect.stringContaining("RELEASE_COLD") });
  expect((await run("compat v1")).exit).toBe(2);
});

describe("Without a Holdover that runs", () => {
  const moduleOf = (fields: string): string => `
    const fits = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
    console.log("what it prints is not ours");
    import { defineSessionFormat } from ${JSON.stringify(import.meta.resolve("@holdover/core"))};
    export const formats = [defineSessionFormat({ name: "cart", schema: fits, ${fields} })];
    export const other = { name: "no format", version: 1 };
  `;
  const write = (name: string, text: string) => writeFile(join(api.dir, name), text);
  const samples = { samples: [1, 2, 3].map((n) => ({ format: "cart", version: 1, value: { items: [n] } })) };
  beforeEach(async () => {
    await write("v1.mjs", moduleOf("version: 1"));
    await write("v2.mjs", moduleOf("version: 2, upgrade: { 1: (cart) => cart }, downgrade: { 2: (cart) => cart }"));
    await write("samples.json", JSON.stringify(samples));
    await api.stop();
  });

  test("two modules are tried on a file, each in a process of its own", async () => {
    const { exit, out } = await run("compat v1.mjs v2.mjs --samples samples.json");
    expect([exit, out]).toEqual([0, expect.stringMatching(/^cart +all 3 +all 3$/m)]);
    await write("bad.mjs", moduleOf("version: 2, upgrade: { 1: ({ items }) => items[1].sku }"));
    const bad = await run("compat v1.mjs bad.mjs --samples samples.json --json");
    expect(bad.exit).toBe(1);
    expect(JSON.parse(bad.out)).toMatchObject({
      reads: false,
      readsBack: false,
      problems: [
        "cart of version 1 cannot be read (3 of 3 samples): the upgrade from 1 to 2 threw (TypeError)",
        "cart of version 2 cannot be read by v1.mjs: the downgrades of version 2 lead down to 2, and version 1 is wanted",
      ],
    });
  });

  test.each([
    ["throws as it is loaded", `throw new Error("no database")`, "it cannot be loaded: no database"],
    ["ends its process", "process.exit(7)", "its process ended with exit code 7"],
    ["is no module", "this is no {", "it cannot be loaded"],
  ])("a module that %s fails the trial and nothing else", async (_, text, problem) => {
    await write("odd.mjs", text);
    const { exit, err } = await run("compat v1.mjs odd.mjs --samples samples.json");
    expect([exit, err]).toEqual([1, expect.stringContaining(problem)]);
    expect(err).toContain("FORMAT_TRIAL_FAILED");
  });

  test("a file that holds no samples is told with what it should hold", async () => {
    await write("samples.json", "[]");
    const { exit, err } = await run("compat v1.mjs v2.mjs --samples samples.json");
    expect([exit, err]).toEqual([2, expect.stringContaining('{ "samples": [{ "format": "cart"')]);
    expect((await run("compat v1.mjs v2.mjs --samples none.json")).exit).toBe(2);
  });
});

test("saves redacted samples for its owner alone, and says how many were withheld", async () => {
  const samples = [{ format: "cart", version: 1, value: { items: ["*"] } }];
  api.handlers.set("POST /v1/services/rooms/samples", () => ({ samples, withheld: 2 }));
  const { exit, out } = await run("compat --save kept.json");
  expect([exit, out]).toEqual([0, "1 sample in kept.json; 2 withheld: their formats have no `redact`.\n"]);
  const file = join(api.dir, "kept.json");
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ samples });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});
