import { asHoldoverError, type HoldoverError } from "@holdover/core";
import type { Sessions } from "@holdover/router";
import type { Host } from "./host.ts";
import type { VirtualTime } from "./virtual-time.ts";

type Hold = Awaited<ReturnType<Sessions["hold"]>>;
/** How a connection is ended. */
export type EndHow = Parameters<Parameters<Sessions["hold"]>[2]["end"]>[0];

/** A connection that is to stay so long, ms, is one that lasts. */
const LASTS_MS = 100;
/** How soon a client tries again, ms. */
const AGAIN_MS = 120;
/** How long the end of a connection is under way, ms. */
const LEAVES_WITHIN_MS = 30;

/** Somebody who wants a connection to a session for some time, and comes back when it ends before. */
export interface Client {
  readonly service: string;
  /** Given by the router for a session that is its connection. */
  key: string;
  readonly keyless: boolean;
  readonly stubbornMs: number;
  readonly returns: boolean;
  /** Sends nothing at all. */
  readonly quiet: boolean;
  leavesAtMs: number;
  state: "away" | "waiting" | "held" | "told" | "gone";
  hold: Hold | null;
  host: Host | null;
  waitingSinceMs: number;
  /** The table in force when it asked for its place. */
  askedUnder: number;
}

/** What clients tell of what becomes of them. */
export interface ClientWatch {
  readonly answered: (client: Client, hold: Hold) => void;
  readonly refused: (client: Client, error: HoldoverError) => void;
  readonly told: (client: Client, how: EndHow) => void;
}

export interface ClientsOptions {
  readonly time: VirtualTime;
  readonly draw: () => number;
  /** The host that takes connections now. */
  readonly host: () => Host | null;
  readonly newestKey: () => string;
  readonly watch: ClientWatch;
}

export class Clients {
  readonly #options: ClientsOptions;
  readonly all = new Set<Client>();

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  arrive(
    given: Pick<Client, "service" | "stubbornMs" | "returns" | "quiet"> & {
      readonly key: string | null;
      readonly staysMs: number;
    },
  ): void {
    const client: Client = {
      service: given.service,
      key: given.key ?? "",
      keyless: given.key === null,
      stubbornMs: given.stubbornMs,
      returns: given.returns,
      quiet: given.quiet,
      leavesAtMs: this.#options.time.nowMs + given.staysMs,
      state: "away",
      hold: null,
      host: null,
      waitingSinceMs: 0,
      askedUnder: 0,
    };
    this.all.add(client);
    void this.#connect(client);
  }

  /** Their connections break, to this host or through it to an instance. */
  cutOff(those: (client: Client) => boolean): void {
    for (const client of this.all) if (client.host && those(client)) this.#leave(client, true);
  }

  /** From now on nobody stays. */
  goHome(withinMs: number): void {
    const { time, draw } = this.#options;
    for (const client of this.all) {
      client.leavesAtMs = Math.min(client.leavesAtMs, time.nowMs + draw() * withinMs);
      this.#leaveInTime(client);
    }
  }

  async #connect(client: Client): Promise<void> {
    const { time, watch } = this.#options;
    const host = this.#options.host();
    const table = host?.sessions.table();
    const service = table?.services.find(({ name }) => name === client.service);
    if (time.nowMs >= client.leavesAtMs) return this.#gone(client);
    if (!host || !table || !service) return this.#again(client);
    client.state = "waiting";
    client.host = host;
    client.waitingSinceMs = time.nowMs;
    client.askedUnder = table.number;
    let ended = false;
    const connection = {
      bytes: () => (client.quiet ? 0 : time.nowMs),
      end: (how: EndHow): void => {
        ended = true;
        // Told before it heard of its place: as the front does, it gives that back and takes another.
        if (client.state !== "held") return;
        watch.told(client, how);
        client.state = "told";
        time.after(client.stubbornMs || this.#soon(), () => {
          if (client.state === "told" && client.host === host) this.#leave(client, true);
        });
      },
    };
    try {
      for (;;) {
        const placing = client.keyless
          ? host.sessions.holdConnection(service, connection)
          : host.sessions.hold(service, client.key, connection);
        if (client.keyless) client.key = this.#options.newestKey();
        const hold = await placing;
        if (client.host !== host) return;
        watch.answered(client, hold);
        if (ended) {
          ended = false;
          hold.done();
          continue;
        }
        client.hold = hold;
        client.state = "held";
        // A request that is answered at once is none that lasts.
        if (client.leavesAtMs - time.nowMs > LASTS_MS) hold.lasts();
        return this.#leaveInTime(client);
      }
    } catch (thrown) {
      if (client.host !== host) return;
      client.host = null;
      watch.refused(client, asHoldoverError(thrown));
      this.#again(client);
    }
  }

  #leaveInTime(client: Client): void {
    const { time } = this.#options;
    const { hold } = client;
    if (!hold) return;
    time.after(client.leavesAtMs - time.nowMs, () => {
      if (client.hold === hold) this.#leave(client, false);
    });
  }

  #leave(client: Client, early: boolean): void {
    const { hold, host } = client;
    client.hold = null;
    client.host = null;
    if (host && !host.life.over) hold?.done();
    if (early && client.returns) this.#again(client);
    else this.#gone(client);
  }

  #again(client: Client): void {
    client.state = "away";
    this.#options.time.after(this.#options.draw() * AGAIN_MS, () => void this.#connect(client));
  }

  #gone(client: Client): void {
    client.state = "gone";
    this.all.delete(client);
  }

  #soon(): number {
    return this.#options.draw() * LEAVES_WITHIN_MS;
  }
}
