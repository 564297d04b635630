import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { holdoverConfig } from "@holdover/core";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";

/** What README.md tells a new user to type is typed here. */

let cluster: Cluster;
let readme: string;

const blocks = (language: string): string[] =>
  [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, name, body]) =>
    name === language && body ? [body] : [],
  );

beforeAll(async () => {
  readme = await readFile(join(REPOSITORY, "README.md"), "utf8");
  const yaml = parse(await readFile(join(REPOSITORY, "holdover.yaml"), "utf8")) as {
    services: Record<string, { dir: string }>;
  };
  const services = Object.entries(yaml.services).map(([name, one]) => [
    name,
    { ...one, dir: join(REPOSITORY, one.dir) },
  ]);
  cluster = await startCluster({ services: Object.fromEntries(services) as Record<string, unknown> });
  await cluster.until("v1 is current", (status) => status.services[0]?.current === "v1");
});

afterAll(() => cluster.stop());

describe("README.md", () => {
  test("the commands of the second terminal work as written, in their order", async () => {
    const block = blocks("").find((one) => one.includes("npx holdover deploy"));
    const commands = (block ?? "")
      .split("\n")
      .flatMap((line) => line.match(/^npx holdover ([^#]+)/)?.[1]?.trim() ?? []);
    expect(commands.length).toBeGreaterThanOrEqual(3);
    for (const command of commands) {
      // Watching goes on until somebody ends it; what it draws is what status prints once.
      const words = command.split(/\s+/).filter((word) => word !== "-w");
      const ran = await cluster.run(
        ...words.map((word) => (word.startsWith("examples/") ? join(REPOSITORY, word) : word)),
      );
      expect({ command, ...ran }).toMatchObject({ code: 0 });
    }
    const { services } = await cluster.status();
    expect(services[0]?.releases.map(({ id, state }) => [id, state])).toEqual([
      ["v1", "current"],
      ["v2", "retained"],
    ]);
  });

  test("its holdover.yaml is one that Holdover takes", () => {
    const [yaml] = blocks("yaml");
    expect(holdoverConfig.safeParse(parse(yaml ?? "")).error).toBeUndefined();
  });

  test("every command of its table is one that the command line knows, and none is missing", async () => {
    const table = [...readme.matchAll(/^\| (`holdover [^|]+) \|/gm)].flatMap(([, cell]) =>
      [...(cell ?? "").matchAll(/`(?:holdover )?(\w+)/g)].flatMap(([, name]) => name ?? []),
    );
    const { stdout } = await cluster.run("--help");
    const known = [...stdout.matchAll(/^ {2}(\w+)(?: .*)?$/gm)].flatMap(([, name]) => name ?? []);
    expect([...new Set(table)].toSorted()).toEqual(
      known.filter((name) => name !== "help" && name !== "holdover").toSorted(),
    );
  });
});
