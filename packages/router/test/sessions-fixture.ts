import type { RoutedInstance, RoutedRelease, RoutedService, RoutingTable } from "@holdover/core";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { MemoryPinStore } from "@holdover/testkit/memory-pin-store";
import type { Hold } from "../src/hold.ts";
import { Sessions } from "../src/sessions.ts";

/** For the tests of sessions without a socket. */

export const instance = (
  id: string,
  capacity: number | null = null,
  more: Partial<RoutedInstance> = {},
): RoutedInstance => ({
  id,
  host: "127.0.0.1",
  port: 4000,
  capacity,
  admission: "new",
  ending: null,
  ...more,
});

export const release = (
  id: string,
  admission: RoutedRelease["admission"],
  more: Partial<RoutedRelease> = {},
): RoutedRelease => ({
  id,
  admission,
  percent: admission === "new" ? 100 : 0,
  ending: null,
  lingerMs: 5000,
  deadlineMs: null,
  wedged: null,
  instances: [instance(`${id}-1`), instance(`${id}-2`)],
  ...more,
});

export const service = (releases: RoutedRelease[], more: Partial<RoutedService> = {}): RoutedService => ({
  name: "rooms",
  hosts: [],
  path: "/",
  key: [{ query: "room" }],
  label: null,
  disconnects: { atOnce: 0.05, periodMs: 1000 },
  lingerMs: 3000,
  connectionAge: null,
  releases,
  ...more,
});

export const table = (number: number, ...releases: RoutedRelease[]): RoutingTable => ({
  number,
  services: [service(releases)],
});

export const rooms = service([]);

/** A clock, a store and a cached table, which outlive the sessions that are opened on them. */
export class SessionsWorld {
  readonly clock = new ManualClock();
  readonly store = new MemoryPinStore();
  cached: RoutingTable | undefined;
  #keys = 0;

  async open(limit = 1000, random: () => number = () => 0.5): Promise<Sessions> {
    const sessions = new Sessions({
      pins: this.store,
      tableCache: { save: (saved) => void (this.cached = saved), load: () => this.cached },
      clock: this.clock,
      limit,
      newKey: () => `~${(this.#keys += 1)}`,
      random,
      changed: () => {},
      log: () => {},
    });
    await sessions.open();
    return sessions;
  }
}

/** A connection that leaves when it is told to end, and remembers how it was told. */
export interface Client {
  readonly hold: Hold;
  readonly told: string[];
  /** How many have passed it. */
  bytes: number;
}

/** @param key null: the session is the connection */
export async function connect(sessions: Sessions, key: string | null, label: string | null = null): Promise<Client> {
  const told: string[] = [];
  const client = { told, bytes: 0 };
  const connection = {
    end: (how: string) => {
      told.push(how);
      hold.done();
    },
    bytes: () => client.bytes,
  };
  const hold: Hold = await (key === null
    ? sessions.holdConnection(rooms, connection, () => label)
    : sessions.hold(rooms, key, connection, () => label));
  return Object.assign(client, { hold });
}
