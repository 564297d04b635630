import { defineSessionFormat } from "@holdover/core";
import { expect, test } from "vitest";
import { z } from "zod";
import { memoryStateLink, type StateLink } from "./state-link.ts";
import { States } from "./states.ts";

const v1 = defineSessionFormat({ name: "cart", version: 1, schema: z.object({ items: z.string() }) });
const v2 = defineSessionFormat({
  name: "cart",
  version: 2,
  schema: z.object({ items: z.string(), currency: z.string() }),
  upgrade: { 1: ({ items }: { items: string }) => ({ items, currency: "EUR" }) },
  downgrade: { 2: ({ items }: { items: string }) => ({ items }) },
});

test("a copy for an older release gives way to what is written while it is made", async () => {
  const memory = memoryStateLink();
  let older: readonly number[] = [];
  let hold: Promise<void> = Promise.resolve();
  let reads = (): void => {};
  const link: StateLink = {
    open: async (session) => {
      const checkpoint = await memory.open(session);
      reads();
      await hold;
      return checkpoint;
    },
    write: (write) => memory.write(write),
    olderVersions: () => older,
  };
  const states = new States({ service: "shop", link, warn: () => {} });
  const session = { key: "a", fence: 1 };
  const state = states.of(session);
  await state.write(v2, { items: "tea", currency: "CHF" });

  older = [1];
  const held = Promise.withResolvers<void>();
  hold = held.promise;
  const read = new Promise<void>((resolve) => (reads = resolve));
  const copied = states.copyForOlder(session, [v2]);
  await read;
  await state.write(v2, { items: "milk", currency: "CHF" });
  held.resolve();
  await copied;

  const after = new States({ service: "shop", link: memory, warn: () => {} }).of({ key: "a", fence: 2 });
  expect(await after.read(v1)).toEqual({ items: "milk" });
});
