import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { openHostStore } from "@holdover/adapters/stores/sqlite";
import type { Clock, RoutedService, RoutingTable } from "@holdover/core";
import { Sessions } from "../../packages/router/src/sessions.ts";
import { quantile } from "./quantiles.ts";

/** `fill DIRECTORY COUNT`: pins in a host's own store. `read DIRECTORY COUNT`: a router's sessions on that store. */

/** A session is looked up so many times; the first ones are not measured. */
const LOOKUPS = 200_000;
const WARM_LOOKUPS = 20_000;
/** The event loop goes round now and then, as it does between requests. */
const LOOKUPS_A_TURN = 500;
const INSTANCES = 4;
/** How often `fill` tells how far it is, pins. */
const TELL_EVERY = 100_000;

export interface PinsRead {
  readonly readBackSeconds: number;
  /** Of it: opening the file, which is checked whole after a crash. */
  readonly openFileSeconds: number;
  /** CPU of all threads, which a busy machine does not stretch as it does the time. */
  readonly readBackCpuSeconds: number;
  readonly heapBytesAPin: number;
  readonly rssBytesAPin: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly mostUs: number;
}

const service: RoutedService = {
  name: "rooms",
  hosts: [],
  path: "/",
  key: [{ query: "room" }],
  label: null,
  disconnects: { atOnce: 0.1, periodMs: 1000 },
  lingerMs: 60_000,
  connectionAge: null,
  releases: [
    {
      id: "v1",
      admission: "new",
      percent: 100,
      ending: null,
      lingerMs: 86_400_000,
      deadlineMs: null,
      wedged: null,
      instances: Array.from({ length: INSTANCES }, (_, n) => ({
        id: instanceId(n),
        host: "127.0.0.1",
        port: 1024 + n,
        capacity: null,
        admission: "new",
        ending: null,
      })),
    },
  ],
};
const table: RoutingTable = { number: 1, services: [service] };
const clock: Clock = {
  now: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
};

const [task, directory = "", count = ""] = process.argv.slice(2);
const pins = Number(count);
const file = join(directory, "host.db");
if (task === "fill") await fill();
else process.send?.(await read());

async function fill(): Promise<void> {
  const store = openHostStore(file);
  store.table.save(table);
  for (let n = 0; n < pins; n++) {
    const candidate = { service: service.name, key: keyOf(n), release: "v1", instance: instanceId(n) };
    await store.pins.place({ ...candidate, openedAtMs: Date.now(), label: null }, null, Date.now());
    if ((n + 1) % TELL_EVERY === 0) process.send?.(n + 1);
  }
  process.send?.(pins);
  // It does not close its store: it is killed, as a host that crashes is.
  setInterval(() => {}, 60_000);
}

async function read(): Promise<PinsRead> {
  globalThis.gc?.();
  const before = process.memoryUsage();
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const store = openHostStore(file);
  const openFileSeconds = (performance.now() - startedAt) / 1000;
  const sessions = new Sessions({
    pins: store.pins,
    tableCache: store.table,
    clock,
    limit: 2 * pins,
    newKey: () => {
      throw new Error("every session here has a key");
    },
    random: Math.random,
    changed: () => {},
    log: () => {},
  });
  await sessions.open();
  const readBackSeconds = (performance.now() - startedAt) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  globalThis.gc?.();
  const after = process.memoryUsage();

  const spans = new Float64Array(LOOKUPS);
  const connection = { end: () => {}, bytes: () => 0 };
  for (let n = -WARM_LOOKUPS; n < LOOKUPS; n++) {
    // Fresh from bytes, as the key of a request is: a string that was looked up before carries its hash.
    const key = Buffer.from(keyOf(Math.floor(Math.random() * pins))).toString("latin1");
    const at = performance.now();
    const hold = await sessions.hold(service, key, connection);
    const span = performance.now() - at;
    if (n >= 0) spans[n] = span * 1000;
    hold.done();
    if (n % LOOKUPS_A_TURN === 0) await turn();
  }
  if (sessions.counts().size !== INSTANCES) throw new Error("the pins are not where they were placed");
  sessions.close();
  store.close();
  spans.sort();
  return {
    readBackSeconds,
    openFileSeconds,
    readBackCpuSeconds: (cpu.user + cpu.system) / 1e6,
    heapBytesAPin: (after.heapUsed - before.heapUsed) / pins,
    rssBytesAPin: (after.rss - before.rss) / pins,
    p50Us: quantile(spans, 0.5),
    p99Us: quantile(spans, 0.99),
    mostUs: quantile(spans, 1),
  };
}

/** 16 characters. */
function keyOf(n: number): string {
  return `room-${String(n).padStart(11, "0")}`;
}

function instanceId(n: number): string {
  return `rooms-v1-${n % INSTANCES}`;
}
