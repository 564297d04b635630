import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Instance, InstanceSpec } from "@holdover/core";

/** What is kept on disk of an instance, so that the next host process finds it again. No command and no environment. */
export interface InstanceRecord {
  readonly format: 1;
  readonly instance: Instance;
  readonly health: InstanceSpec["health"];
  /** Random, and in the environment of its processes as HOLDOVER_START: ids may be the same in another Holdover. */
  readonly startToken: string;
  /** Null until it is known: the spawn may have been under way when the host died. */
  readonly startTime: string | null;
  /** The end of the grace of a stop that was asked for (epoch ms). */
  readonly stopByMs: number | null;
  /** SIGTERM was sent: a second one ends many programs at once. */
  readonly termSent: boolean;
}

export interface Records {
  /** Resolves when this or a later state of the record is on disk. @throws Error of the file system */
  save(record: InstanceRecord): Promise<void>;
  remove(id: string): Promise<void>;
  /** All records; one that cannot be read is moved aside, so that it is neither lost nor met again. */
  readAll(): Promise<{ records: InstanceRecord[]; unreadable: string[] }>;
  /** Resolves when nothing is being written. */
  settled(): Promise<void>;
}

export function createRecords(dir: string): Records {
  // One chain a record: two renames of the same file at once could leave the older one in place.
  const chains = new Map<string, Promise<void>>();
  const enqueue = (id: string, work: () => Promise<void>): Promise<void> => {
    const next = (chains.get(id) ?? Promise.resolve()).then(work);
    const chained = next
      .catch(() => undefined)
      .then(() => {
        if (chains.get(id) === chained) chains.delete(id);
      });
    chains.set(id, chained);
    return next;
  };
  const fileOf = (id: string) => join(dir, `${id}.json`);

  return {
    save: (record) =>
      enqueue(record.instance.id, async () => {
        const file = fileOf(record.instance.id);
        await mkdir(dir, { recursive: true, mode: 0o700 });
        await writeFile(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
        await rename(`${file}.new`, file);
      }),
    remove: (id) => enqueue(id, () => rm(fileOf(id), { force: true })),
    async readAll() {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      const records: InstanceRecord[] = [];
      const unreadable: string[] = [];
      for (const name of await readdir(dir)) {
        const file = join(dir, name);
        // Cut off before its rename: the record from before still stands, or nothing was started yet.
        if (name.endsWith(".json.new")) await rm(file, { force: true });
        if (!name.endsWith(".json")) continue;
        const record = parseRecord(await readFile(file, "utf8"));
        if (record && name === `${record.instance.id}.json`) {
          records.push(record);
        } else {
          await rename(file, `${file}.unreadable`);
          unreadable.push(`${file}.unreadable`);
        }
      }
      return { records, unreadable };
    },
    async settled() {
      await Promise.all(chains.values());
    },
  };
}

const STATES = new Set(["starting", "ready", "draining", "stopped", "lost"]);

/** Checked by hand for what would do harm: a wrong pid here would be signalled. */
function parseRecord(text: string): InstanceRecord | null {
  try {
    const record = JSON.parse(text) as InstanceRecord;
    const { instance, health } = record;
    const sound =
      record.format === 1 &&
      typeof instance.id === "string" &&
      typeof instance.service === "string" &&
      typeof instance.release === "string" &&
      typeof instance.logFile === "string" &&
      Number.isInteger(instance.port) &&
      (instance.pid === null || (Number.isInteger(instance.pid) && instance.pid > 1)) &&
      STATES.has(instance.state.name) &&
      typeof record.startToken === "string" &&
      [health.startTimeout, health.interval, health.timeout].every((ms) => Number.isFinite(ms));
    return sound ? record : null;
  } catch {
    return null;
  }
}
