import { defineSessionFormat, joinHoldover, type Holdover, type SessionFormat } from "@holdover/worker";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { at, routed, WorkerWorld } from "./worker-world.ts";

/** What an older release reads of a session that has written nothing since that release came. */

const v1 = defineSessionFormat({ name: "cart", version: 1, schema: z.object({ items: z.array(z.string()) }) });
const v2 = defineSessionFormat({
  name: "cart",
  version: 2,
  schema: z.object({ items: z.array(z.string()), currency: z.string() }),
  upgrade: { 1: ({ items }: { items: string[] }) => ({ items, currency: "EUR" }) },
  downgrade: { 2: ({ items }: { items: string[] }) => ({ items }) },
});
const cart = { items: ["tea"], currency: "CHF" };

let world: WorkerWorld;
const joined: Holdover[] = [];

beforeEach(async () => {
  world = new WorkerWorld();
  await world.open();
});
afterEach(async () => {
  for (const holdover of joined.splice(0)) await holdover.close();
  await world.close();
});

async function join(instance: string, release: string, formats: SessionFormat<unknown>[]): Promise<Holdover> {
  const env = await world.start(instance, { service: "rooms", release });
  const holdover = await joinHoldover({ env, signals: false, formats, warn: () => {} });
  joined.push(holdover);
  return holdover;
}

const storedOf = async (key: string): Promise<string[]> =>
  ((await world.host.checkpoints.read("rooms", key))?.entries ?? []).map(({ name }) => name).toSorted();

/** A session on the newer release, from before the older one came. */
async function begin(): Promise<{ newer: Holdover; fence: number }> {
  const newer = await join("rooms.v2-1", "v2", [v2]);
  world.apply(routed("v2", "new", [at("rooms.v2-1")]));
  await vi.waitFor(() => expect(newer.admission).toBe("new"));
  const session = await newer.open({ key: "a" });
  await session.state.write(v2, cart);
  expect(await storedOf("a")).toEqual(["cart"]);
  return { newer, fence: session.fence };
}

/** Its instance is taken for dead, and somebody comes back to it when the older release is current again. */
async function move(older: Holdover) {
  world.apply(routed("v1", "new", [at("rooms.v1-1")]));
  await world.router.lose("rooms.v2-1");
  await vi.waitFor(() => expect(older.admission).toBe("new"));
  return older.open({ key: "a" });
}

describe("an older release that comes later", () => {
  test("has its copies of what sessions keep that write nothing", async () => {
    const { newer } = await begin();
    const older = await join("rooms.v1-1", "v1", [v1]);
    await vi.waitFor(async () => expect(await storedOf("a")).toEqual(["cart", "cart#1"]));
    await newer.close();
    const session = await move(older);
    expect(await session.state.read(v1)).toEqual({ items: ["tea"] });
  });

  test("reads through the newer one what there is no copy of", async () => {
    const { fence } = await begin();
    const older = await join("rooms.v1-1", "v1", [v1]);
    await vi.waitFor(async () => expect(await storedOf("a")).toEqual(["cart", "cart#1"]));
    // As a host left it that was killed before it had the copies made.
    await world.host.checkpoints.remove({ service: "rooms", key: "a", fence });
    await world.host.checkpoints.claim({ service: "rooms", key: "a", fence });
    const entry = { name: "cart", ...v2.encode(cart) };
    await world.host.checkpoints.write({ service: "rooms", key: "a", fence, entries: [entry] });
    const session = await move(older);
    await vi.waitFor(() => expect(world.router.workers.linked("rooms", "v2")).toHaveLength(1));
    expect(await session.state.read(v1)).toEqual({ items: ["tea"] });
  });

  test("never reads a copy that is older than the value beside it", async () => {
    const { newer } = await begin();
    const older = await join("rooms.v1-1", "v1", [v1]);
    const session = newer.jobSession({ key: "a", fence: (await world.session("a"))?.fence ?? 0 });
    // Writes come while copies are being made.
    for (const item of ["milk", "bread", "salt"]) await session.state.write(v2, { items: [item], currency: "EUR" });
    await vi.waitFor(async () => expect(await storedOf("a")).toEqual(["cart", "cart#1"]));
    const moved = await move(older);
    expect(await moved.state.read(v1)).toEqual({ items: ["salt"] });
  });

  test("is told that nothing leads back where the newer one has gone and left no copy", async () => {
    const { newer, fence } = await begin();
    await newer.close();
    world.apply(routed("v2", "none", []));
    await world.router.lose("rooms.v2-1");
    const older = await join("rooms.v1-1", "v1", [v1]);
    world.apply(routed("v1", "new", [at("rooms.v1-1")]));
    await vi.waitFor(() => expect(older.admission).toBe("new"));
    const session = await older.open({ key: "a" });
    expect(session.fence).toBeGreaterThan(fence);
    await expect(session.state.read(v1)).rejects.toMatchObject({ code: "FORMAT_UNKNOWN" });
    // What is stored is not touched by it.
    expect(await storedOf("a")).toEqual(["cart"]);
  });
});
