import {
  mustHaveCurrent,
  promoteChange,
  rampChange,
  restartChange,
  retireChange,
  rollbackChange,
  withRelease,
  type Change,
  type ReleaseRecord,
  type ServiceRecord,
} from "@holdover/core";
import type { PreviewRequest } from "./api/preview-views.ts";
import type { DeployRequest } from "./api/views.ts";
import type { Builds } from "./builds.ts";
import { newRelease, readDefinition, refuseSecondDeploy, refuseSharedAddress, withoutOldest } from "./new-release.ts";
import type { Planning } from "./planning.ts";
import type { Records } from "./records.ts";
import type { Known } from "./status.ts";

/** A change of releases by word. */
export type Word = Exclude<PreviewRequest, { readonly action: "move" }>;

export interface DecisionsOptions {
  readonly records: Records;
  readonly planning: Pick<Planning, "restartPlan">;
  readonly builds: Builds;
  readonly known: () => Known;
}

/** Whether a word can be followed, by what is stored and known now, and what it comes to: to follow it, or to show that. */
export class Decisions {
  readonly #options: DecisionsOptions;

  constructor(options: DecisionsOptions) {
    this.#options = options;
  }

  /** @throws HoldoverError what the word is refused with */
  async word(serviceName: string, word: Word, actor: string): Promise<Change> {
    if (word.action === "deploy") {
      return this.deploy(serviceName, { release: word.release, then: { then: "promote" } }, actor);
    }
    const { records, planning } = this.#options;
    const service = records.service(serviceName);
    const known = this.#options.known();
    switch (word.action) {
      case "promote":
        return promoteChange(service, word.release, known);
      case "ramp":
        return rampChange(service, word.release, word.percent, known);
      case "rollback":
        return rollbackChange(service, word.to, word.sessions, known);
      case "retire":
        return retireChange(service, word.release, word.now, known);
      case "restart": {
        const { batches, waitMs, graceMs } = await planning.restartPlan(service, word);
        const instances = batches.flatMap((batch) => batch.instances);
        return restartChange(service, instances, { batch: word.batch, waitMs, graceMs }, known.nowMs);
      }
    }
  }

  /**
   * @throws HoldoverError SERVICE_UNKNOWN, CONFIG_INVALID, DEPLOY_IN_PROGRESS, NO_CURRENT_RELEASE, RELEASE_EXISTS,
   * DIRECTORY_MISSING, COMMAND_MISSING
   */
  async deploy(serviceName: string, request: DeployRequest, actor: string): Promise<Change> {
    const { records } = this.#options;
    const given = request.definition === undefined ? null : readDefinition(serviceName, request.definition);
    const stored = records.find(serviceName);
    const service = stored ?? (given ? { name: serviceName, definition: given, releases: [] } : null);
    if (!service) throw records.unknown(serviceName);
    refuseSecondDeploy(service);
    if (request.then.then === "ramp") mustHaveCurrent(service);
    const definition = given ?? service.definition;
    refuseSharedAddress(serviceName, definition, records.services());
    const release = await this.newRelease({ ...service, definition }, request, actor);
    const next = withoutOldest(withRelease(service, release), this.#options.known().instances ?? []);
    return { next, release: release.id, reason: `deploy of ${release.dir}` };
  }

  /** @throws HoldoverError RELEASE_EXISTS, DIRECTORY_MISSING, COMMAND_MISSING */
  newRelease(service: ServiceRecord, request: DeployRequest, actor: string): Promise<ReleaseRecord> {
    const { nowMs, instances } = this.#options.known();
    const { builds } = this.#options;
    return newRelease({ service, request, actor, nowMs, instances: instances ?? [], builds });
  }
}
