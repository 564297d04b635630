import { HoldoverError, isAlive, NO_FORMATS, type PinStore, type Released, type RoutingTable } from "@holdover/core";
import { Sessions } from "@holdover/router";
import type { HostStore } from "./host-store.ts";
import type { Link, SimulatedCall } from "./link.ts";
import type { HostPlatform, Processes } from "./processes.ts";
import { Life, type VirtualTime, type WallClock } from "./virtual-time.ts";

/** More sessions than any schedule has. */
const SESSION_LIMIT = 10_000;

/** What a host calls in the moment in which something happens. */
interface HostWatch {
  /** Before a table comes into force. */
  readonly table: (table: RoutingTable) => void;
  readonly tableInForce: () => void;
  readonly givenUp: (instance: string) => void;
  readonly stopping: (instance: string) => void;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/** Parts of a host that a test can put others in the place of. */
interface HostParts {
  readonly pins: (store: PinStore) => PinStore;
  readonly table: (table: RoutingTable) => RoutingTable;
  readonly release: (instance: string, released: Released) => Released;
  readonly platform: (platform: HostPlatform) => HostPlatform;
}

export interface HostOptions {
  readonly time: VirtualTime;
  readonly clock: WallClock;
  readonly store: HostStore;
  readonly processes: Processes;
  readonly link: Link;
  readonly newKey: () => string;
  readonly draw: () => number;
  readonly watch: HostWatch;
  readonly parts: HostParts;
}

/** One host process: the router's sessions and the platform, put together as `holdover` does it. */
export class Host {
  readonly life: Life;
  readonly sessions: Sessions;
  readonly #platform: HostPlatform;
  readonly #options: HostOptions;
  #listens = false;

  constructor(options: HostOptions) {
    const { time, clock, store, processes, parts, watch, link, newKey, draw } = options;
    this.#options = options;
    this.life = new Life(time, clock);
    this.#platform = parts.platform(processes.platform(this.life, watch.stopping));
    this.sessions = new Sessions({
      pins: parts.pins(store.port(this.life)),
      tableCache: store.tables(),
      clock: this.life,
      limit: SESSION_LIMIT,
      newKey,
      random: draw,
      changed: () => link.countsChanged(),
      log: watch.log,
    });
  }

  /** Whether clients can connect. */
  listens(): boolean {
    return this.#listens && !this.life.over;
  }

  async start(): Promise<void> {
    const { store, link } = this.#options;
    const { sessions, life } = this;
    const platform = this.#platform;
    platform.adopt();
    await sessions.open();
    await this.#loseTheUnknown();
    this.#listens = true;
    const pins = store.port(life);
    link.openHost({
      life,
      instances: () => platform.instances(),
      counts: () => ({
        tableNumber: sessions.table().number,
        closing: sessions.isClosing(),
        sessions: new Map(sessions.counts()),
      }),
      events: (limit) => pins.events(limit),
      forget: (upToSeq) => pins.forgetEvents(upToSeq),
      handle: (call) => this.#handle(call),
    });
    let dead = new Set<string>();
    const look = (): void => {
      const ended = (platform.instances() ?? []).filter((one) => !isAlive(one)).map((one) => one.id);
      for (const id of ended) if (!dead.has(id)) void sessions.lose(id);
      dead = new Set(ended);
      link.instancesChanged();
    };
    platform.subscribe(look);
    look();
  }

  /** All that it had in memory is gone; its instances live on. */
  crash(): void {
    this.sessions.close();
    this.life.end();
  }

  async #handle(call: SimulatedCall): Promise<unknown> {
    const { sessions } = this;
    const { watch, parts } = this.#options;
    switch (call.name) {
      case "apply":
        watch.table(call.table);
        sessions.apply(parts.table(call.table));
        watch.tableInForce();
        return sessions.table().number;
      case "release": {
        const released = parts.release(call.instance, sessions.release(call.instance));
        if (released.released) watch.givenUp(call.instance);
        return released;
      }
      case "sessions":
        return sessions.list(call.query);
      case "ages":
        return sessions.ages(call.query);
      case "open": {
        const { service, key } = call.request;
        throw new HoldoverError("WORKER_NONE", { service, key: key ?? "without a key", reasons: "no worker" });
      }
      case "move":
        return sessions.move(call.move);
      case "formats":
        return NO_FORMATS;
      case "samples":
        return { samples: [], withheld: 0 };
      case "start":
        return this.#platform.start(call.spec);
      case "stop":
        return this.#platform.stop(call.instance, call.graceMs);
      case "shutdown":
        return sessions.startClosing(call.now ? "cut" : "finish");
    }
  }

  /** What the table or a pin names and the platform does not find alive died while no host ran. */
  async #loseTheUnknown(): Promise<void> {
    const { sessions } = this;
    const alive = new Set((this.#platform.instances() ?? []).filter(isAlive).map((one) => one.id));
    const listed = sessions.table().services.flatMap((s) => s.releases.flatMap((r) => r.instances.map(({ id }) => id)));
    for (const id of new Set([...listed, ...sessions.counts().keys()])) if (!alive.has(id)) await sessions.lose(id);
  }
}
