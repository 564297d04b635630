import {
  ready,
  serviceDefinition,
  type AuditDraft,
  type AuditLog,
  type Instance,
  type ReleaseRecord,
  type ReleaseStore,
  type ServiceRecord,
} from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

interface Stores {
  readonly store: ReleaseStore;
  /** The log that the store's entries go to. */
  readonly audit: AuditLog;
}

/** A fresh, empty store. */
export interface OpenedReleaseStore extends Stores {
  /** The store as control finds it that starts again. The one before is closed. */
  reopen(): Promise<Stores>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What every {@link ReleaseStore} keeps to. */
export function releaseStoreConformance(name: string, open: () => Promise<OpenedReleaseStore>): void {
  describe(`${name} as a ReleaseStore`, () => {
    let opened: OpenedReleaseStore;
    let store: ReleaseStore;
    let audit: AuditLog;
    beforeEach(async () => {
      opened = await open();
      ({ store, audit } = opened);
    });
    afterEach(() => opened.close());

    const failure = expect.objectContaining({ code: "STORE_FAILED" });
    const audited = async (): Promise<string[]> => (await audit.read(0, 100)).map((entry) => entry.kind);

    it("is empty at first", async () => {
      expect(await store.services()).toEqual([]);
      expect(await store.instances()).toEqual([]);
      expect(await store.tableNumber()).toBe(0);
    });

    it("gives back services with all their releases as they were saved, in their order", async () => {
      const services = [service("game", ["v1"]), service("chat", ["v2", "v1", "v10"])];
      await store.saveServices(services, [because("release.current")]);
      expect(await store.services()).toEqual(services);
    });

    it("replaces what was saved before", async () => {
      await store.saveServices([service("chat", ["v1"]), service("game", ["v1"])], [because("one")]);
      await store.saveServices([service("chat", ["v1", "v2"])], [because("two")]);
      expect(await store.services()).toEqual([service("chat", ["v1", "v2"])]);
      await store.saveInstances([instance(1), instance(2)], [because("three")]);
      await store.saveInstances([instance(3)], [because("four")]);
      expect(await store.instances()).toEqual([instance(3)]);
      await store.saveInstances([], [because("five")]);
      expect(await store.instances()).toEqual([]);
    });

    it("gives back instances as they were last seen, in their order", async () => {
      const instances = [instance(3), instance(1), instance(2)];
      await store.saveInstances(instances, [because("instance.ready")]);
      expect(await store.instances()).toEqual(instances);
    });

    it("has stored every change, with its entries, when it resolves", async () => {
      await store.saveServices([service("chat", ["v1"])], [because("release.ready"), because("release.current")]);
      await store.saveInstances([instance(1)], [because("instance.ready")]);
      await store.saveTableNumber(4, [because("table.published")]);
      ({ store, audit } = await opened.reopen());
      expect(await store.services()).toEqual([service("chat", ["v1"])]);
      expect(await store.instances()).toEqual([instance(1)]);
      expect(await store.tableNumber()).toBe(4);
      expect(await audited()).toEqual(["release.ready", "release.current", "instance.ready", "table.published"]);
      expect((await audit.verify()).seq).toBe(4);
    });

    it("MUST refuse a table number that does not grow, and then has no entry of it", async () => {
      await store.saveTableNumber(4, [because("table.published")]);
      for (const number of [4, 3, 0, -1, 4.5, Number.NaN]) {
        await expect(store.saveTableNumber(number, [because("never")])).rejects.toMatchObject({
          name: "HoldoverError",
        });
      }
      expect(await store.tableNumber()).toBe(4);
      expect(await audited()).toEqual(["table.published"]);
      await store.saveTableNumber(9, [because("table.published")]);
      expect(await store.tableNumber()).toBe(9);
    });

    it("stores neither a change nor its entries when it cannot be written", async () => {
      await store.saveServices([service("chat", ["v1"])], [because("before")]);
      await store.saveInstances([instance(1)], []);
      await opened.refuseWrites(true);
      await expect(store.saveServices([service("chat", ["v2"])], [because("never")])).rejects.toEqual(failure);
      await expect(store.saveInstances([], [because("never")])).rejects.toEqual(failure);
      await expect(store.saveTableNumber(1, [because("never")])).rejects.toEqual(failure);
      await opened.refuseWrites(false);
      expect(await store.services()).toEqual([service("chat", ["v1"])]);
      expect(await store.instances()).toEqual([instance(1)]);
      expect(await store.tableNumber()).toBe(0);
      expect(await audited()).toEqual(["before"]);
      await store.saveTableNumber(1, [because("after")]);
      expect(await audited()).toEqual(["before", "after"]);
    });

    it("tells the subscribers of the audit log of every change, once it is stored", async () => {
      const seen: { readonly kind: string | undefined; readonly number: Promise<number> }[] = [];
      audit.subscribe((entries) => seen.push({ kind: entries[0]?.kind, number: store.tableNumber() }));
      await store.saveServices([], [because("services")]);
      await store.saveInstances([], [because("instances")]);
      await store.saveTableNumber(1, [because("table")]);
      expect(seen.map(({ kind }) => kind)).toEqual(["services", "instances", "table"]);
      expect(await seen[2]?.number).toBe(1);
    });
  });
}

function because(kind: string): AuditDraft {
  return { atMs: 5, kind, actor: "planner", reason: "a test wanted it" };
}

function service(name: string, releases: readonly string[]): ServiceRecord {
  const definition = serviceDefinition.parse({
    command: ["node", "server.js"],
    hosts: [`${name}.example.com`],
    env: { GREETING: "grüß dich" },
    session: { key: [{ header: "x-room" }, { cookie: "room" }], linger: "30s" },
    retention: { policy: "fixed", window: "10m" },
  });
  const record = (id: string): ReleaseRecord => ({
    id,
    state: ready(7),
    definition,
    dir: "/srv/build",
    snapshot: null,
    digest: null,
    intent: { then: "ramp", percent: 12.5 },
    gatePassed: true,
    formats: {
      samples: 2,
      untried: ["v0"],
      formats: [
        {
          format: "cart",
          forward: { tried: 2, failed: 1, failures: [{ version: 1, samples: 1, reason: "no" }] },
          back: [{ release: "v1", tried: 1, failed: 0, failures: [] }],
        },
      ],
    },
    allowStateLoss: true,
    deployedBy: "operator",
    createdAtMs: 6,
    currentAtMs: 0,
    preparation: { fromMs: 1, untilMs: 2, lingerMs: 3 },
    restart: { sinceMs: 1, batch: 1, waitMs: 2, graceMs: 3, waiting: ["b"], leaving: ["a"], leavingSinceMs: null },
    nextOrdinal: 2,
  });
  return { name, definition, releases: releases.map(record) };
}

function instance(ordinal: number): Instance {
  return {
    id: `chat-v1-${ordinal}`,
    service: "chat",
    release: "v1",
    host: "127.0.0.1",
    port: 4000 + ordinal,
    pid: ordinal === 1 ? null : 100 + ordinal,
    logFile: `/srv/logs/chat-v1-${ordinal}.log`,
    state:
      ordinal === 2
        ? { name: "lost", sinceMs: 9, exit: { atMs: 9, code: null, signal: "SIGKILL", error: null, problem: "killed" } }
        : { name: "ready", sinceMs: 8 },
    startedAtMs: 7,
    readyAtMs: 8,
  };
}
