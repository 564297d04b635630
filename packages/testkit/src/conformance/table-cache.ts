import type { RoutingTable, TableCache } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A fresh, empty cache. */
export interface OpenedTableCache {
  readonly cache: TableCache;
  /** The cache as a router finds it that starts again. The one before is closed. */
  reopen(): Promise<TableCache>;
  /** From now on the store behind cannot be written to, or can again. */
  refuseWrites(refuse: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What every {@link TableCache} keeps to. */
export function tableCacheConformance(name: string, open: () => Promise<OpenedTableCache>): void {
  describe(`${name} as a TableCache`, () => {
    let opened: OpenedTableCache;
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(() => opened.close());

    it("has no table before one was saved", async () => {
      expect(opened.cache.load()).toBeUndefined();
      expect((await opened.reopen()).load()).toBeUndefined();
    });

    it("gives back the last saved table as it was", () => {
      opened.cache.save(table(1));
      opened.cache.save(table(2));
      expect(opened.cache.load()).toEqual(table(2));
    });

    it("has stored the table when save returns", async () => {
      opened.cache.save(table(7));
      expect((await opened.reopen()).load()).toEqual(table(7));
    });

    it("throws STORE_FAILED when it cannot be written, and keeps the table before", async () => {
      opened.cache.save(table(1));
      await opened.refuseWrites(true);
      expect(() => opened.cache.save(table(2))).toThrow(expect.objectContaining({ code: "STORE_FAILED" }));
      await opened.refuseWrites(false);
      expect(opened.cache.load()).toEqual(table(1));
    });
  });
}

function table(number: number): RoutingTable {
  return {
    number,
    services: [
      {
        name: "chat",
        hosts: ["chat.example.com", "*.chat.example.com"],
        path: "/",
        key: [{ header: "x-room" }, { path: "/rooms/:room" }],
        label: { from: [{ query: "kind" }], values: ["support"] },
        lingerMs: 2000,
        connectionAge: { maxMs: 9000, graceMs: 10 },
        disconnects: { atOnce: 0.05, periodMs: 1000 },
        releases: [
          {
            id: "v1",
            admission: "existing",
            percent: 0,
            ending: "moved",
            lingerMs: 500,
            deadlineMs: null,
            wedged: { afterMs: 60_000, cut: true },
            instances: [
              {
                id: "chat-v1-1",
                host: "127.0.0.1",
                port: 4001,
                capacity: null,
                admission: "existing",
                ending: "moved",
              },
            ],
          },
          {
            id: "v2",
            admission: "new",
            percent: 100,
            ending: null,
            lingerMs: 1000,
            deadlineMs: null,
            wedged: null,
            instances: [
              { id: "chat-v2-1", host: "127.0.0.1", port: 4002, capacity: 20, admission: "new", ending: null },
            ],
          },
        ],
      },
    ],
  };
}
