import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterAll, beforeAll, expect, test } from "vitest";

/** What a room keeps is read with GET and written with POST, in the format of its release. */
const SERVER = `
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { joinHoldover } from "@holdover/worker";
import { cart } from "./cart.js";
const release = process.env.HOLDOVER_RELEASE;
const server = createServer(async (request, response) => {
  const session = holdover.sessionOf(request);
  if (!session) return response.end("healthy");
  try {
    if (request.method === "POST") await session.state.write(cart, JSON.parse(await text(request)));
    response.end(JSON.stringify({ release, cart: (await session.state.read(cart)) ?? null }));
  } catch (error) {
    response.statusCode = error.status ?? 500;
    response.end(JSON.stringify({ release, code: error.code }));
  }
});
const holdover = await joinHoldover({ formats: [cart], server });
server.listen(Number(process.env.PORT), process.env.HOST);
`;

const formatOf = (fields: string): string => `
import { defineSessionFormat } from "@holdover/worker";
const fits = (holds) => ({ "~standard": { version: 1, vendor: "test", validate: (value) =>
  (holds(value) ? { value } : { issues: [{ message: "it is no cart", path: ["items"] }] }) } });
const texts = (value) => Array.isArray(value?.items) && value.items.every((item) => typeof item === "string");
const lines = (value) => Array.isArray(value?.lines) && value.lines.every(({ sku, count }) => sku && count > 0);
const up = ({ items }) => ({ lines: items.map((sku) => ({ sku, count: 1 })) });
const down = ({ lines }) => ({ items: lines.flatMap(({ sku, count }) => Array.from({ length: count }, () => sku)) });
export const cart = defineSessionFormat({ name: "cart", ${fields} });
`;

const BUILDS = {
  v1: `version: 1, schema: fits(texts), redact: ({ items }) => ({ items: items.map(() => "*") })`,
  v2: "version: 2, schema: fits(lines), upgrade: { 1: up }, downgrade: { 2: down }",
  lossy: "version: 2, schema: fits(lines), upgrade: { 1: up }",
  broken: `version: 2, schema: fits(lines), upgrade: { 1: ({ cart }) => ({ lines: cart.of.nobody }) }, downgrade: { 2: down }`,
};

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({
    services: {
      shop: {
        command: ["node", "server.js"],
        session: { key: [{ query: "room" }], linger: "10m" },
        health: { path: "/", startTimeout: "10s" },
        retention: { policy: "until-empty", floor: "1h", grace: "1s" },
      },
    },
  });
  for (const [build, fields] of Object.entries(BUILDS)) {
    const dir = join(cluster.directory, "builds", build);
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, "server.js"), SERVER);
    await writeFile(join(dir, "cart.js"), formatOf(fields));
    await writeFile(join(dir, "package.json"), '{ "type": "module" }');
  }
});
afterAll(() => cluster.stop());

const deploy = (build: keyof typeof BUILDS, ...more: string[]) =>
  cluster.run("deploy", "shop", "--release", build, "--dir", join("builds", build), ...more);

async function room(key: string, cart?: object): Promise<unknown> {
  const init = cart ? { method: "POST", body: JSON.stringify(cart) } : {};
  const answer = await fetch(`${cluster.url}/?room=${key}`, init);
  return answer.json();
}

interface Audited {
  readonly kind: string;
  readonly release: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

async function audited(kind: string): Promise<Audited[]> {
  const { entries } = await cluster.api<{ entries: Audited[] }>("GET", "/v1/audit?tail=500");
  return entries.filter((entry) => entry.kind === kind);
}

test("What a session keeps outlives its release, forward and back, and the gate refuses what would lose it", async () => {
  expect((await deploy("v1")).code).toBe(0);
  const first = await room("a", { items: ["book"] });
  expect(first).toEqual({ release: "v1", cart: { items: ["book"] } });

  // Forward: v2 was tried on what room a keeps, before it got traffic.
  expect(await deploy("v2")).toMatchObject({ code: 0 });
  const compat = await cluster.run("compat", "v1", "v2");
  expect([compat.code, compat.stdout]).toEqual([0, expect.stringContaining("a rollback loses nothing")]);
  expect(await room("a")).toEqual({ release: "v1", cart: { items: ["book"] } });
  // The same in a CI job, on what was saved here, with nobody's data in it.
  await cluster.succeed("compat", "--save", "samples.json");
  expect(JSON.parse(await readFile(join(cluster.directory, "samples.json"), "utf8"))).toEqual({
    samples: [{ format: "cart", version: 1, value: { items: ["*"] } }],
  });
  const inCi = await cluster.run("compat", "builds/v1/cart.js", "builds/lossy/cart.js", "--samples", "samples.json");
  expect([inCi.code, inCi.stdout]).toEqual([1, expect.stringContaining("a rollback would lose state")]);

  expect(await room("b", { lines: [{ sku: "pen", count: 2 }] })).toEqual({
    release: "v2",
    cart: { lines: [{ sku: "pen", count: 2 }] },
  });

  // Back: v1 reads what v2 wrote for it.
  await cluster.succeed("rollback", "shop");
  await cluster.succeed("retire", "shop", "v2");
  await cluster.until("v2 is over", ({ services }) =>
    services[0]?.releases.some(({ id, state }) => id === "v2" && state === "retired"),
  );
  expect(await room("b")).toEqual({ release: "v1", cart: { items: ["pen", "pen"] } });

  // What cannot read it is refused, whatever is allowed; what could not be left again only where that is allowed.
  const broken = await deploy("broken", "--allow-state-loss");
  expect(broken.code).toBe(1);
  expect(broken.stderr).toContain("FORMAT_INCOMPATIBLE");
  expect(broken.stderr).toContain("the upgrade from 1 to 2 threw (TypeError)");
  const lossy = await deploy("lossy");
  expect(lossy.code).toBe(1);
  expect(lossy.stderr).toContain("ROLLBACK_LOSES_STATE");
  expect(lossy.stderr).toContain("the downgrades of version 2 lead down to 2, and version 1 is wanted");
  expect(await room("b")).toMatchObject({ release: "v1" });
  expect((await deploy("lossy", "--allow-state-loss")).code).toBe(0);

  const tried = await audited("gate.formats");
  expect(tried.map(({ release }) => release)).toEqual(["v1", "v2", "broken", "lossy", "lossy"]);
  expect(tried[1]?.detail).toMatchObject({ samples: 1, forwardTried: 1, forwardFailed: 0, backFailed: 0 });
  expect((await audited("override.used")).map(({ release, detail }) => [release, detail["override"]])).toEqual([
    ["lossy", "allow-state-loss"],
  ]);
}, 90_000);
