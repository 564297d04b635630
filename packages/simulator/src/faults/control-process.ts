import { Control, type Builds } from "@holdover/control";
import { asHoldoverError, HoldoverError, type ServiceDefinition } from "@holdover/core";
import type { ControlStore, ControlStorePorts } from "./control-store.ts";
import type { Link } from "./link.ts";
import type { Build } from "./processes.ts";
import { Life, type VirtualTime, type WallClock } from "./virtual-time.ts";

/** How long a snapshot or a gate takes at the most, ms. */
const WORK_MS = 200;

export interface ControlProcessOptions {
  readonly time: VirtualTime;
  readonly clock: WallClock;
  readonly store: ControlStore;
  readonly link: Link;
  readonly draw: () => number;
  readonly buildOf: (service: string, release: string) => Build;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
  /** Puts others in the place of ports, for a test. */
  readonly parts: (ports: ControlStorePorts) => ControlStorePorts;
}

/** One control process, put together as `holdover` does it. */
export class ControlProcess {
  readonly life: Life;
  readonly control: Control;
  readonly #store: ControlStorePorts;
  #isUp = false;

  constructor(options: ControlProcessOptions) {
    const { time, clock, store, link, log } = options;
    this.life = new Life(time, clock);
    this.#store = options.parts(store.ports(this.life));
    const { dataPlane, platform, linked } = link.openControl(this.life);
    this.control = new Control({
      ...this.#store,
      dataPlane,
      platform,
      linked,
      builds: buildsOf(options, this.life),
      invitations: { epoch: () => 0, environment: async () => ({}) },
      clock: this.life,
      version: "0.0.0",
      log,
    });
  }

  /** Whether the API can be asked. */
  isUp(): boolean {
    return this.#isUp && !this.life.over;
  }

  /** @throws HoldoverError what control meets on its start */
  async start(declared: Readonly<Record<string, ServiceDefinition>> | null): Promise<void> {
    await this.#store.audit.append([
      {
        atMs: this.life.now(),
        kind: "control.started",
        actor: "host",
        reason: "version 0.0.0",
        detail: { again: declared === null },
      },
    ]);
    await this.control.start(declared);
    this.#isUp = true;
  }

  crash(): void {
    this.life.end();
  }
}

function buildsOf({ draw, buildOf }: ControlProcessOptions, life: Life): Builds {
  const work = <T>(result: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      life.after(draw() * WORK_MS, () => {
        try {
          resolve(result());
        } catch (thrown) {
          reject(asHoldoverError(thrown));
        }
      });
    });
  return {
    pathOf: (service, release) => `/releases/${service}/${release}`,
    snapshot: (from) =>
      work(() => {
        if (draw() < 0.02) throw new HoldoverError("SNAPSHOT_FAILED", { dir: from, problem: "no space left" });
        return { digest: `sha256:${from}` };
      }),
    remove: () => work(() => {}),
    check: () => work(() => {}),
    gate: ({ service, release }) =>
      work(() =>
        buildOf(service, release).kind === "refused" ? { passed: false, problem: "no", log: [] } : { passed: true },
      ),
    gateLog: (service, release) => `/logs/${service}/${release}/gate.log`,
    tail: () => work(() => []),
  };
}
