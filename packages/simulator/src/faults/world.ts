import { asHoldoverError, type PinStore, type Released, type RoutingTable } from "@holdover/core";
import { drawsOf } from "../draws.ts";
import { Clients } from "./clients.ts";
import { ControlProcess } from "./control-process.ts";
import { ControlStore, type ControlStorePorts } from "./control-store.ts";
import { nameOf } from "./definition.ts";
import { Disk } from "./disk.ts";
import { HostStore } from "./host-store.ts";
import { Host } from "./host.ts";
import { Link } from "./link.ts";
import { Operators } from "./operators.ts";
import { Processes, type HostPlatform } from "./processes.ts";
import { RecordRules } from "./record-rules.ts";
import { lookAtEnds, restless } from "./rest.ts";
import { Rules, type Counted } from "./rules.ts";
import { FAULTS_MS, type Schedule, type Step } from "./schedule.ts";
import { Verdict, type Broken } from "./verdict.ts";
import { VirtualTime, WallClock } from "./virtual-time.ts";

/** How long it may take to come to rest, ms: back-offs are up to 30 s, and clocks are some seconds off. */
const REST_WITHIN_MS = 120_000;
const LOOK_FOR_REST_MS = 250;
/** It rests when it is found so this many times, one after another. */
const FOUND_AT_REST = 3;
/** Far more than any run needs: what happens so often goes round in a circle. */
const MOST_EVENTS = 100_000;
/** When everybody has gone, ms after the last fault. */
const HOME_WITHIN_MS = 2000;
/** How soon control is started again, ms; twice as long after each failure in a row. */
const CONTROL_AGAIN_MS = 100;
/** How long a host takes to start, and control at the most to see that its own has gone, ms. */
const HOST_STARTS_MS = 60;
/** How soon a connection through an instance breaks that has died, at the most, ms. */
const BREAKS_WITHIN_MS = 10;

/** Parts that are put in the place of sound ones, so that a test sees the rules broken. */
export interface Parts {
  readonly pins?: (store: PinStore, world: World) => PinStore;
  readonly table?: (table: RoutingTable) => RoutingTable;
  readonly release?: (instance: string, released: Released) => Released;
  readonly platform?: (platform: HostPlatform) => HostPlatform;
  readonly control?: (ports: ControlStorePorts) => ControlStorePorts;
  readonly hostCrashed?: (world: World) => void;
  readonly tableInForce?: (world: World) => void;
}

/** What a run came to. */
export interface Outcome extends Counted {
  readonly broken: Broken | null;
  /** Things that happened, one after the other; after each the rules were looked at. */
  readonly events: number;
  readonly deploys: number;
  /** Words that were done although their preview said that they may cut. */
  readonly dangerous: number;
  /** Sessions that ended as these. */
  readonly moved: number;
  readonly cut: number;
  /** Of hosts, control processes and instances. */
  readonly crashes: number;
  /** Virtual time, ms. */
  readonly lastedMs: number;
  /** The hash at the end of the audit chain: it differs if anything that is audited did. */
  readonly head: string;
}

/** Every process and what lies between them, in virtual time. */
export class World {
  readonly #schedule: Schedule;
  readonly #parts: Parts;
  readonly #time = new VirtualTime();
  readonly #clocks: { readonly host: WallClock; readonly control: WallClock };
  readonly #disks: { readonly host: Disk; readonly control: Disk };
  readonly #draw: { readonly starts: () => number; readonly builds: () => number; readonly ages: () => number };
  readonly store: HostStore;
  readonly #records: ControlStore;
  readonly #processes: Processes;
  readonly #link: Link;
  readonly #clients: Clients;
  readonly #operators: Operators;
  readonly #verdict: Verdict;
  readonly #rules: Rules;
  host: Host | null = null;
  #control: ControlProcess | null = null;
  #controlWasUp = false;
  #controlFailures = 0;
  #hostDownUntilMs = 0;
  #keys = 0;
  #restful = 0;
  #events = 0;
  #crashes = 0;

  /** @param parts left out: all of them are sound */
  constructor(schedule: Schedule, parts: Parts = {}) {
    this.#schedule = schedule;
    this.#parts = parts;
    const { seed, clocks, services } = schedule;
    // A stream for each part: a step that is left out does not change what all the others meet.
    const stream = (number: number): (() => number) => drawsOf((Math.imul(seed, 2_654_435_761) + number) >>> 0);
    const time = this.#time;
    this.#clocks = {
      host: new WallClock(time, clocks.host.offsetMs, clocks.host.ppm),
      control: new WallClock(time, clocks.control.offsetMs, clocks.control.ppm),
    };
    this.#disks = { host: new Disk(time, stream(1)), control: new Disk(time, stream(2)) };
    this.#draw = { starts: stream(6), builds: stream(7), ages: stream(8) };
    this.#processes = new Processes(time, stream(3), (service, release) => this.#operators.buildOf(service, release));
    this.#link = new Link(time, stream(4));
    const verdict = new Verdict(time);
    const records = (): ControlStore => this.#records;
    const recordRules = new RecordRules({ verdict, controlClock: this.#clocks.control, records });
    const rules = new Rules({
      verdict,
      recordRules,
      records,
      time,
      hostClock: this.#clocks.host,
      controlClock: this.#clocks.control,
      hostDisk: this.#disks.host,
      store: () => this.store,
      processes: this.#processes,
      clients: () => this.#clients.all,
      host: () => this.host,
      controlIsUp: () => this.controlIsUp(),
    });
    this.#verdict = verdict;
    this.#rules = rules;
    this.store = new HostStore(this.#disks.host, rules);
    this.#records = new ControlStore(this.#disks.control, recordRules);
    this.#clients = new Clients({
      time,
      draw: stream(5),
      host: () => (this.host?.listens() ? this.host : null),
      newestKey: () => `~${this.#keys}`,
      watch: rules,
    });
    this.#operators = new Operators(
      {
        verdict,
        rules: recordRules,
        records,
        control: () => (this.#control?.isUp() ? this.#control.control : null),
        cutOver: (service) => recordRules.cutoverAnswered(rules.table, service),
        moving: (service, key) => rules.moving(service, key),
      },
      services,
    );
  }

  controlIsUp(): boolean {
    return this.#control?.isUp() ?? false;
  }

  /** Once, from the beginning until the first rule is broken or all has come to rest. */
  async run(): Promise<Outcome> {
    const time = this.#time;
    const verdict = this.#verdict;
    const defect = (thrown: unknown): void => verdict.break("sound", `nobody caught: ${String(thrown)}`);
    process.on("unhandledRejection", defect);
    try {
      for (const step of this.#schedule.steps) time.after(step.atMs, () => this.#take(step));
      time.after(FAULTS_MS, () => this.#endFaults());
      this.#startHost();
      await time.run(() => {
        this.#events += 1;
        this.#rules.look();
        if (this.#events > MOST_EVENTS) verdict.break("converges", `${MOST_EVENTS} things happened, and no end`);
        return verdict.broken === null && this.#restful < FOUND_AT_REST;
      });
    } finally {
      process.off("unhandledRejection", defect);
      this.host?.crash();
      this.#control?.crash();
    }
    return {
      broken: verdict.broken,
      ...this.#rules.counted(),
      events: this.#events,
      deploys: this.#operators.deploys,
      dangerous: this.#operators.dangerous,
      moved: this.#records.ended.filter(({ reason }) => reason === "moved").length,
      cut: this.#records.ended.filter(({ reason }) => reason === "cut").length,
      crashes: this.#crashes,
      lastedMs: time.nowMs,
      head: this.#records.chain.at(-1)?.hash ?? "",
    };
  }

  #take(step: Step): void {
    switch (step.do) {
      case "client":
        return this.#clients.arrive({ ...step, service: nameOf(step.service) });
      case "crash":
        return step.who === "host" ? this.#crashHost(step.downMs) : this.#crashControl(step.downMs);
      case "kill":
        return this.#kill(step.which);
      case "link":
        return this.#link.hit(step.fault, step.forMs);
      case "disk": {
        const disk = this.#disks[step.of];
        return step.fault === "refuse" ? disk.refuse(step.forMs) : disk.slowDown(step.forMs);
      }
      case "clock":
        return this.#clocks[step.of].set(step.byMs);
      default:
        return this.#operators.say(step);
    }
  }

  #kill(which: number): void {
    const running = this.#processes.running();
    const one = running[which % Math.max(1, running.length)];
    if (!one) return;
    this.#crashes += 1;
    this.#processes.kill(one.id);
    this.#time.after(this.#draw.starts() * BREAKS_WITHIN_MS, () =>
      this.#clients.cutOff(({ hold }) => hold?.instance === one.id),
    );
  }

  #startHost(): void {
    const parts = this.#parts;
    const rules = this.#rules;
    const host = new Host({
      time: this.#time,
      clock: this.#clocks.host,
      store: this.store,
      processes: this.#processes,
      link: this.#link,
      newKey: () => `~${(this.#keys += 1)}`,
      draw: this.#draw.ages,
      watch: {
        table: (table) => rules.tableArrives(table),
        tableInForce: () => parts.tableInForce?.(this),
        givenUp: (instance) => rules.givenUp(instance),
        stopping: (instance) => rules.stopping(instance),
        log: (event, detail) => rules.logged(event, detail),
      },
      parts: {
        pins: (pins) => parts.pins?.(pins, this) ?? pins,
        table: parts.table ?? ((table) => table),
        release: parts.release ?? ((_, released) => released),
        platform: parts.platform ?? ((platform) => platform),
      },
    });
    this.host = host;
    this.#controlWasUp = false;
    host.start().then(
      () => this.#startControl(host),
      (thrown: unknown) => this.#verdict.break("sound", `the host does not start: ${String(thrown)}`),
    );
  }

  /** Control runs as long as its host, and is started again whenever it ends before. */
  #startControl(host: Host): void {
    if (this.host !== host || this.#control) return;
    const control = new ControlProcess({
      time: this.#time,
      clock: this.#clocks.control,
      store: this.#records,
      link: this.#link,
      draw: this.#draw.builds,
      buildOf: (service, release) => this.#operators.buildOf(service, release),
      log: (event, detail) => this.#rules.logged(event, detail),
      parts: this.#parts.control ?? ((ports) => ports),
    });
    this.#control = control;
    control.start(this.#controlWasUp ? null : Object.fromEntries(this.#operators.declared)).then(
      () => {
        this.#controlWasUp = true;
        this.#controlFailures = 0;
      },
      (thrown: unknown) => {
        this.#rules.logged("control.failed", { problem: asHoldoverError(thrown).message });
        this.#controlFailures += 1;
        this.#crashControl(CONTROL_AGAIN_MS * 2 ** Math.min(5, this.#controlFailures));
      },
    );
  }

  #crashControl(downMs: number): void {
    const control = this.#control;
    const { host } = this;
    if (!control || !host) return;
    this.#crashes += 1;
    this.#control = null;
    control.crash();
    this.#time.after(CONTROL_AGAIN_MS + downMs, () => this.#startControl(host));
  }

  #crashHost(downMs: number): void {
    const { host } = this;
    if (!host) return;
    this.#crashes += 1;
    this.host = null;
    host.crash();
    this.#parts.hostCrashed?.(this);
    this.#rules.hostCrashed();
    this.#clients.cutOff((client) => client.host === host);
    const control = this.#control;
    // Without its host there is nothing to control: it ends by itself, and the next host brings one of its own.
    this.#control = null;
    this.#time.after(this.#draw.starts() * HOST_STARTS_MS, () => control?.crash());
    this.#hostDownUntilMs = this.#time.nowMs + HOST_STARTS_MS + downMs;
    this.#time.after(HOST_STARTS_MS + downMs, () => {
      if (!this.host && this.#time.nowMs >= this.#hostDownUntilMs) this.#startHost();
    });
  }

  #endFaults(): void {
    this.#clients.goHome(HOME_WITHIN_MS);
    this.#time.after(LOOK_FOR_REST_MS, () => this.#lookForRest());
  }

  #lookForRest(): void {
    const records = this.#records;
    const problem = restless({
      host: this.host,
      isLinked: this.controlIsUp() && this.#link.isUp(),
      clients: this.#clients.all.size,
      store: this.store,
      records,
      processes: this.#processes,
    });
    this.#restful = problem === null ? this.#restful + 1 : 0;
    if (this.#restful === FOUND_AT_REST) return lookAtEnds(records, this.#rules.counted(), this.#verdict);
    if (this.#time.nowMs > FAULTS_MS + REST_WITHIN_MS) {
      this.#verdict.break("converges", `${REST_WITHIN_MS} ms after the last fault: ${problem}`);
    }
    if (problem !== null) this.#operators.finish();
    this.#time.after(LOOK_FOR_REST_MS, () => this.#lookForRest());
  }
}
