import {
  place,
  type Pin,
  type RoutedInstance,
  type RoutedRelease,
  type RoutedService,
  type RoutingTable,
} from "@holdover/core";

/** How long a worker is waited for whose link broke, or whose host has just begun, ms. It comes back within a second, unless it hangs. */
export const WORKER_BACK_MS = 30_000;

/** The table in force without what has gone since it was made: what may be placed where, at this very moment. */
export class TableInForce {
  #table: RoutingTable = { number: 0, services: [] };
  /** Instances that died, although the table may still list them. */
  readonly #gone = new Set<string>();
  /** Instances given up since the table was made. A later one that lists such an instance takes it back. */
  readonly #givenUp = new Set<string>();
  /** Instances whose worker takes no session any more. */
  readonly #draining = new Set<string>();
  #services = new Map<string, RoutedService>();
  #instances = new Map<string, RoutedInstance>();

  /** As it came. */
  get table(): RoutingTable {
    return this.#table;
  }

  follow(table: RoutingTable): void {
    this.#table = table;
    this.#givenUp.clear();
    const listed = this.listed();
    for (const left of [this.#gone, this.#draining]) {
      for (const instance of left) if (!listed.has(instance)) left.delete(instance);
    }
    this.#index();
  }

  lose(instance: string): void {
    this.#gone.add(instance);
    this.#index();
  }

  giveUp(instance: string): void {
    this.#givenUp.add(instance);
    this.#index();
  }

  /** Its worker says that nothing is to be placed on it any more, or that it may be again. */
  drain(instance: string, isDraining: boolean): void {
    if (this.#draining.has(instance) === isDraining) return;
    if (isDraining) this.#draining.add(instance);
    else this.#draining.delete(instance);
    this.#index();
  }

  /** Every instance that the table lists, gone or not. */
  listed(): Set<string> {
    return new Set(this.#table.services.flatMap((s) => s.releases.flatMap((r) => r.instances.map((one) => one.id))));
  }

  services(): Iterable<RoutedService> {
    return this.#services.values();
  }

  service(name: string): RoutedService | undefined {
    return this.#services.get(name);
  }

  instance(id: string): RoutedInstance | undefined {
    return this.#instances.get(id);
  }

  release(service: string, id: string): RoutedRelease | undefined {
    return this.#services.get(service)?.releases.find((release) => release.id === id);
  }

  /** Whether a session would be placed where this pin says. */
  admits(pin: Pin, lastRelease: string | undefined): boolean {
    const service = this.#services.get(pin.service);
    const release = this.release(pin.service, pin.release);
    if (!service || !release) return false;
    const instances = release.instances.filter(({ id }) => id === pin.instance);
    return place({ ...service, releases: [{ ...release, instances }] }, pin.key, () => 0, lastRelease) !== undefined;
  }

  /**
   * How long a session that was read back may linger, ms: as it normally does, since nobody knows what was promised, and
   * long enough for the worker of its instance to come back and say that it still runs.
   * Before there is any table it may for ever; a service that the table does not have has nobody to come back to.
   */
  lingerReadBack(service: string): number {
    if (this.#table.number === 0) return Infinity;
    const known = this.#services.get(service);
    return known ? Math.max(known.lingerMs, WORKER_BACK_MS) : 0;
  }

  #index(): void {
    const alive = (instance: RoutedInstance) => !this.#gone.has(instance.id) && !this.#givenUp.has(instance.id);
    const admitting = (instance: RoutedInstance): RoutedInstance =>
      this.#draining.has(instance.id) ? { ...instance, admission: "existing" } : instance;
    const services = this.#table.services.map((service) => ({
      ...service,
      releases: service.releases.map((release) => ({
        ...release,
        instances: release.instances.filter(alive).map(admitting),
      })),
    }));
    this.#services = new Map(services.map((service) => [service.name, service]));
    this.#instances = new Map(
      services.flatMap((s) => s.releases.flatMap((r) => r.instances.map((one) => [one.id, one] as const))),
    );
  }
}
