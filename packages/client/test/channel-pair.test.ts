import { connect } from "@holdover/client";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { openChannels, type Channel, type Channels } from "@holdover/worker";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryNetwork, type Link } from "./memory-network.ts";

type Step =
  | { readonly do: "client sends" | "server sends" | "crash" | "snapshot" }
  | { readonly do: "deliver"; readonly link: number; readonly toServer: boolean; readonly parcels: number }
  | { readonly do: "cut"; readonly toServer: number; readonly toClient: number; readonly code: number }
  | { readonly do: "wait"; readonly ms: number };

const nat = (max: number) => fc.nat({ max });
const common: readonly fc.WeightedArbitrary<Step>[] = [
  { weight: 4, arbitrary: fc.constant({ do: "client sends" }) },
  { weight: 4, arbitrary: fc.constant({ do: "server sends" }) },
  // 0 is the link of now, 1 the one before it.
  {
    weight: 16,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      link: fc.constantFrom(0, 0, 0, 1, 2),
      toServer: fc.boolean(),
      parcels: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("cut" as const),
      toServer: nat(4),
      toClient: nat(4),
      code: fc.constantFrom(1005, 1006, 1011, 1012),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(60, 60, 1500, 1500, 31_000) }),
  },
];
const crashes: readonly fc.WeightedArbitrary<Step>[] = [
  { weight: 1, arbitrary: fc.constant({ do: "crash" }) },
  { weight: 3, arbitrary: fc.constant({ do: "snapshot" }) },
];

/** What an application has sent and received on one channel. */
interface Book {
  readonly sent: string[];
  readonly received: string[];
}

/** A client and the instance that serves it, with the books of both; the instance broadcasts, as an application does. */
function play(seed: number) {
  const clock = new ManualClock();
  let count = 0;
  let random = seed;
  let client: Book = { sent: [], received: [] };
  let resets = 0;
  /** The channel that the client is on. */
  let current: string | null = null;
  /** The channel that the server is being told of. */
  let named: string | null = null;
  let talks = new Map<string, Channel>();
  let books = new Map<string, Book>();
  let kept: { readonly channels: string; readonly books: string } | null = null;
  /** All that any instance has ever received. */
  const arrived = new Set<string>();

  const start = (): Channels =>
    openChannels({
      lingerMs: 2 ** 30,
      after: (ms, run) => clock.after(ms, run),
      open(channel) {
        const id = String(named);
        const book = books.get(id) ?? { sent: [], received: [] };
        talks.set(id, channel);
        books.set(id, book);
        return {
          message(text) {
            arrived.add(text);
            book.received.push(text);
          },
        };
      },
    });
  let instance = start();
  const network = new MemoryNetwork((socket) => instance.accept(socket, "room-1"));
  const connection = connect("ws://box.test/?room=room-1", {
    clock,
    random: () => (random = (random * 16_807) % 2_147_483_647) / 2_147_483_647,
    webSocket: network.webSocket,
  });
  connection.on("message", (text) => client.received.push(text));
  connection.on("open", ({ resumed }) => {
    if (!resumed) client.received.length = 0;
    expect(network.last.channel === current).toBe(resumed);
    current = network.last.channel;
  });
  connection.on("reset", ({ unacknowledged }) => {
    resets += 1;
    const acknowledged = client.sent.length - unacknowledged.length;
    expect(client.sent.slice(acknowledged)).toEqual(unacknowledged);
    for (const text of client.sent.slice(0, acknowledged)) expect(arrived).toContain(text);
    client = { sent: [], received: [] };
  });

  const deliverToServer = (link: Link): void => {
    named = link.named;
    link.deliverToServer();
  };
  const run = async (step: Step): Promise<void> => {
    switch (step.do) {
      case "client sends":
        client.sent.push(`c${(count += 1)}`);
        connection.send(`c${count}`);
        break;
      case "server sends":
        for (const [id, channel] of talks) {
          books.get(id)?.sent.push(`s${(count += 1)}`);
          channel.send(`s${count}`);
        }
        break;
      case "deliver": {
        const link = network.links.at(-1 - step.link);
        if (!link) break;
        for (let parcel = 0; parcel < step.parcels; parcel++) {
          if (step.toServer) deliverToServer(link);
          else link.deliverToClient();
        }
        break;
      }
      case "cut":
        network.last.cut(step.toServer, step.toClient, step.code);
        break;
      case "wait":
        await clock.advance(step.ms);
        break;
      case "snapshot":
        kept = { channels: JSON.stringify(instance.snapshot("room-1")), books: JSON.stringify([...books]) };
        break;
      case "crash": {
        for (const link of network.links) {
          link.cut(0, link.toClient.length);
          link.toServer.length = 0;
        }
        talks = new Map();
        books = new Map(kept ? (JSON.parse(kept.books) as [string, Book][]) : []);
        instance = start();
        for (const channel of kept ? (JSON.parse(kept.channels) as { id: string }[]) : []) {
          named = channel.id;
          instance.restore("room-1", [channel]);
        }
        break;
      }
    }
  };
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 30; round++) {
      network.settle(deliverToServer);
      await clock.advance(31_000);
    }
  };
  return {
    run,
    settle,
    connection,
    client: () => client,
    server: (): Book => books.get(current ?? "") ?? { sent: [], received: [] },
    resets: () => resets,
  };
}

async function settled(pair: ReturnType<typeof play>): Promise<void> {
  await pair.settle();
  const { sent, received } = pair.client();
  expect(pair.connection.state).toBe("open");
  expect(pair.server()).toEqual({ sent: received, received: sent });
  expect(pair.connection.unacknowledged).toEqual([]);
  pair.connection.close();
}

const seeds = fc.integer({ min: 1, max: 1e9 });

test("whatever is cut, late or out of step between connections, each message arrives once and in order", async () => {
  const steps = fc.array(fc.oneof(...common), { minLength: 20, maxLength: 150, size: "max" });
  await fc.assert(
    fc.asyncProperty(steps, seeds, async (steps, seed) => {
      const pair = play(seed);
      for (const step of steps) {
        await pair.run(step);
        const client = pair.client();
        const server = pair.server();
        expect(server.received).toEqual(client.sent.slice(0, server.received.length));
        expect(client.received).toEqual(server.sent.slice(0, client.received.length));
      }
      await settled(pair);
      expect(pair.resets()).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("a client that comes to an instance with an older snapshot, or none, goes on without a gap or is told of a reset", async () => {
  const steps = fc.array(fc.oneof(...common, ...crashes), { minLength: 20, maxLength: 150, size: "max" });
  let resumed = 0;
  let reset = 0;
  await fc.assert(
    fc.asyncProperty(steps, seeds, async (steps, seed) => {
      const pair = play(seed);
      for (const step of steps) await pair.run(step);
      await settled(pair);
      if (pair.resets() > 0) reset += 1;
      else if (steps.some((step) => step.do === "crash")) resumed += 1;
    }),
    { numRuns: 300 },
  );
  // Both happened, so that neither was tested in vain.
  expect(Math.min(resumed, reset)).toBeGreaterThan(10);
});
