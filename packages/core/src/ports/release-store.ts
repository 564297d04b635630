import type { AuditDraft } from "../audit-chain.ts";
import type { Instance } from "../instance.ts";
import type { ServiceRecord } from "../release.ts";

/**
 * What the control plane knows of services, releases and instances. One writer.
 *
 * Every change comes with the audit entries that tell of it, and MUST be stored with them in one step: there is no
 * change without an entry, and no entry without its change.
 */
export interface ReleaseStore {
  services(): Promise<ServiceRecord[]>;
  /** @throws HoldoverError STORE_FAILED; then neither the records nor the entries are stored */
  saveServices(services: readonly ServiceRecord[], because: readonly AuditDraft[]): Promise<void>;

  /** The instances as they were last seen. */
  instances(): Promise<Instance[]>;
  /** Replaces the whole list. @throws HoldoverError STORE_FAILED */
  saveInstances(instances: readonly Instance[], because: readonly AuditDraft[]): Promise<void>;

  /** The number of the last table that was given out; 0 for none. */
  tableNumber(): Promise<number>;
  /** MUST refuse a number that does not grow. */
  saveTableNumber(number: number, because: readonly AuditDraft[]): Promise<void>;
}
