import { joinRoom, SETTLE_MS, type RoomClient } from "@holdover/testkit/room-client";
import { openLedger, type RoomAccount, type RoomLedger } from "@holdover/testkit/room-ledger";

/** Each client says something this often, ms. */
const TALK_MS = 500;
/** Connections that are being opened or closed at once. */
const AT_ONCE = 20;

interface Room {
  readonly ledger: RoomLedger;
  readonly clients: RoomClient[];
  /** The release that it was opened on, and where everybody who joins it later has to land. */
  readonly release: string;
}

/** All clients of the demo, in rooms, talking all the time. */
export interface Crowd {
  /** Opens rooms that do not exist yet. Returns how many were opened on another release than `expected`. */
  open(prefix: string, rooms: number, clientsEach: number, expected: string): Promise<number>;
  /** One more client for each room of that prefix. Returns how many landed on another release than their room's. */
  joinLate(prefix: string): Promise<number>;
  /** One client of each room of that prefix hangs up and comes back. Returns how many landed elsewhere than before. */
  reconnect(prefix: string): Promise<number>;
  /** Says no more, waits for what is due, and hangs up. */
  hangUp(): Promise<void>;
  destroy(): void;
  rooms(): number;
  clients(): number;
  account(): RoomAccount;
  incidents(): string[];
}

export function gather(url: string): Crowd {
  const rooms = new Map<string, Room>();
  const everyone: RoomClient[] = [];
  let turn = 0;

  // A tenth of the clients at each tick instead of all at once: the talk is even, as of people who know of no clock.
  const talking = setInterval(() => {
    turn++;
    for (const [index, client] of everyone.entries())
      if (index % 10 === turn % 10) client.say(`message at turn ${turn}`);
  }, TALK_MS / 10);

  const enter = async (ledger: RoomLedger, name: string) => {
    const client = await joinRoom({ url, ledger, name });
    everyone.push(client);
    return client;
  };
  const releaseOf = (client: RoomClient) => client.welcomes.at(-1)?.release;
  const named = (prefix: string) => [...rooms.values()].filter(({ ledger }) => ledger.room.startsWith(`${prefix}-`));

  return {
    async open(prefix, count, clientsEach, expected) {
      let elsewhere = 0;
      await inTurns(
        Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`),
        async (name) => {
          const ledger = openLedger(name);
          const first = await enter(ledger, "1");
          const release = releaseOf(first) ?? "none";
          if (release !== expected) elsewhere++;
          const room: Room = { ledger, clients: [first], release };
          rooms.set(name, room);
          for (let client = 2; client <= clientsEach; client++) room.clients.push(await enter(ledger, String(client)));
        },
      );
      return elsewhere;
    },
    async joinLate(prefix) {
      let elsewhere = 0;
      await inTurns(named(prefix), async ({ ledger, clients, release }) => {
        const client = await enter(ledger, String(clients.length + 1));
        clients.push(client);
        if (releaseOf(client) !== release) elsewhere++;
      });
      return elsewhere;
    },
    async reconnect(prefix) {
      let elsewhere = 0;
      await inTurns(named(prefix), async ({ clients, release }) => {
        const client = clients[0];
        if (!client) return;
        await client.leave();
        await client.rejoin();
        if (releaseOf(client) !== release) elsewhere++;
      });
      return elsewhere;
    },
    async hangUp() {
      clearInterval(talking);
      await Promise.all([...rooms.values()].map(({ ledger }) => ledger.settled(SETTLE_MS)));
      await Promise.all(everyone.map((client) => client.leave()));
    },
    destroy() {
      clearInterval(talking);
      for (const client of everyone) client.destroy();
    },
    rooms: () => rooms.size,
    clients: () => everyone.length,
    account() {
      const total = { sent: 0, received: 0, outstanding: 0, duplicated: 0, misordered: 0, dropped: 0, refused: 0 };
      for (const { ledger } of rooms.values()) {
        const account = ledger.account();
        for (const key of Object.keys(total) as (keyof RoomAccount)[]) total[key] += account[key];
      }
      return total;
    },
    incidents: () => [...rooms.values()].flatMap(({ ledger }) => ledger.incidents),
  };
}

async function inTurns<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
