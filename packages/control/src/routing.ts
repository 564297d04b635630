import {
  HoldoverError,
  routedServices,
  type Clock,
  type DataPlane,
  type Platform,
  type RoutingTable,
  type ServiceRecord,
} from "@holdover/core";
import type { Invitations } from "./invitations.ts";
import type { Records } from "./records.ts";

export interface RoutingOptions {
  readonly records: Records;
  readonly platform: Platform;
  readonly dataPlane: DataPlane;
  readonly linked: () => boolean;
  readonly invitations: Pick<Invitations, "epoch">;
  readonly clock: Clock;
}

/** The routing table: made from the records, numbered, and put in force. */
export class Routing {
  readonly #options: RoutingOptions;
  /** The table in force, or on its way there; null until this process has issued one. */
  #issued: RoutingTable | null = null;
  #issuedText = "";
  #issuedEpoch = 0;

  constructor(options: RoutingOptions) {
    this.#options = options;
  }

  /** Why no table can be put in force now; null when one can. */
  obstacle(): string | null {
    const { linked, platform, dataPlane } = this.#options;
    if (!linked()) return "the host is not linked yet";
    // Without the platform's word an instance could be left out of the table that is alive, and its sessions with it.
    if (platform.instances() === null) return "the host has not told which instances there are";
    return dataPlane.tableInForce() === null ? "the router has not told which table it follows" : null;
  }

  hasIssued(): boolean {
    return this.#issued !== null;
  }

  /** Whether the table would be another one if a service were as given. */
  changesWith(next: ServiceRecord): boolean {
    const { records } = this.#options;
    const before = records.services();
    const after = before.some(({ name }) => name === next.name)
      ? before.map((service) => (service.name === next.name ? next : service))
      : [...before, next];
    return this.#textOf(after) !== this.#textOf(before);
  }

  /**
   * Brings the table up to what is true now, and into force.
   * @throws HoldoverError LINK_DOWN, STORE_FAILED
   */
  async publish(): Promise<void> {
    const { records, dataPlane, clock, invitations } = this.#options;
    const epoch = invitations.epoch();
    const inForce = dataPlane.tableInForce();
    if (inForce === null || this.obstacle() !== null) throw new HoldoverError("LINK_DOWN");
    const text = this.#textOf(records.services());
    // A router that follows a higher number than ours would pass ours over for ever.
    if (!this.#issued || text !== this.#issuedText || epoch !== this.#issuedEpoch || inForce > this.#issued.number) {
      const number = Math.max(records.tableNumber(), inForce) + 1;
      const reason = "releases or instances changed";
      await records.issueTable(number, { atMs: clock.now(), actor: "control", reason });
      this.#issued = { number, services: JSON.parse(text) as RoutingTable["services"] };
      this.#issuedText = text;
      this.#issuedEpoch = epoch;
    }
    if (inForce !== this.#issued.number) await dataPlane.apply(this.#issued);
  }

  #textOf(services: readonly ServiceRecord[]): string {
    const { platform, clock } = this.#options;
    return JSON.stringify(routedServices(services, platform.instances() ?? [], clock.now()));
  }
}
