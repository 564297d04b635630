import { describe, expect, test } from "vitest";
import {
  everyReleaseState,
  routedService,
  sampleDefinition,
  sampleInstance,
  sampleRelease,
  sampleService,
} from "../test/sample-service.ts";
import { current, expiring, ramping, ready, retained } from "./release.ts";
import { routedServices, routingTable, serviceFor, type RoutingTable } from "./routing-table.ts";
import { holdoverConfig } from "./service.ts";

const isReady = { name: "ready", sinceMs: 1 } as const;

describe("the table that follows from what is true", () => {
  test("lists ready releases and those that hold sessions, ramping ones first, with what each admits", () => {
    const states = everyReleaseState(1);
    const service = sampleService(Object.entries(states).map(([name, state]) => sampleRelease(name, state)));
    const [routed] = routedServices([service], [], 0);
    expect(routed?.releases.map(({ id, admission, percent, ending }) => [id, admission, percent, ending])).toEqual([
      ["ramping", "new", 10, null],
      ["ready", "none", 0, null],
      ["current", "new", 100, null],
      ["retained", "existing", 0, null],
      ["expiring", "existing", 0, "moved"],
    ]);
  });

  test("sends sessions of an expiring release to reconnect during the grace, and cuts them from its end on", () => {
    const service = sampleService([sampleRelease("v1", expiring(10, 50))]);
    const endingAt = (nowMs: number) => routedServices([service], [], nowMs)[0]?.releases[0]?.ending;
    expect([endingAt(10), endingAt(49), endingAt(50), endingAt(99)]).toEqual(["moved", "moved", "cut", "cut"]);
  });

  test("lists only ready instances, of this release of this service, with the release's own capacity", () => {
    const service = sampleService(
      [
        sampleRelease("v1", retained(1, null), { definition: sampleDefinition({ capacity: 7 }) }),
        sampleRelease("v2", current(1)),
      ],
      { definition: sampleDefinition({ capacity: 9 }) },
    );
    const exit = { atMs: 1, code: 0, signal: null, error: null, problem: "" };
    const [routed] = routedServices(
      [service],
      [
        sampleInstance("a", isReady),
        sampleInstance("b", { name: "starting", sinceMs: 1 }),
        sampleInstance("c", { name: "draining", sinceMs: 1 }),
        sampleInstance("d", { name: "lost", sinceMs: 1, exit }),
        sampleInstance("e", { name: "stopped", sinceMs: 1, exit }),
        sampleInstance("f", isReady, { release: "v2", port: 4002 }),
        sampleInstance("g", isReady, { service: "chat" }),
      ],
      5,
    );
    expect(routed?.releases.map(({ instances }) => instances)).toEqual([
      [{ id: "a", host: "127.0.0.1", port: 4001, capacity: 7, admission: "new", ending: null }],
      [{ id: "f", host: "127.0.0.1", port: 4002, capacity: null, admission: "new", ending: null }],
    ]);
  });

  test("takes no new session to an instance that a restart replaces, then has its sessions moved, then cut", () => {
    const restart = { sinceMs: 0, batch: 1, waitMs: 50, graceMs: 20, waiting: ["b"], leaving: ["a"] };
    const at = (nowMs: number, leavingSinceMs: number | null) => {
      const release = sampleRelease("v1", current(1), { restart: { ...restart, leavingSinceMs } });
      const instances = [sampleInstance("a", isReady), sampleInstance("b", isReady)];
      const [routed] = routedServices([sampleService([release])], instances, nowMs);
      return routed?.releases[0]?.instances.map(({ admission, ending }) => `${admission} ${ending}`);
    };
    expect(at(99, null)).toEqual(["new null", "new null"]);
    expect(at(100, 100)).toEqual(["existing null", "new null"]);
    expect(at(149, 100)).toEqual(["existing null", "new null"]);
    expect([at(150, 100), at(169, 100)]).toEqual([
      ["existing moved", "new null"],
      ["existing moved", "new null"],
    ]);
    expect(at(170, 100)).toEqual(["existing cut", "new null"]);
  });

  test("gives each release its own linger, and looks for wedged sessions on retained ones alone", () => {
    const definition = sampleDefinition({ session: { key: [], linger: 6000 } });
    const preparation = { fromMs: 0, untilMs: 100, lingerMs: 1000 };
    const service = sampleService(
      [sampleRelease("v1", retained(1, 0), { preparation }), sampleRelease("v2", current(1))],
      { definition },
    );
    const releases = routedServices([service], [], 200)[0]?.releases.map(({ lingerMs, wedged }) => [lingerMs, wedged]);
    expect(releases).toEqual([
      [1000, { afterMs: 600_000, cut: false }],
      [6000, null],
    ]);
  });

  test("takes the rules of the service from the definition in force, and is a table that routers read", () => {
    const definition = sampleDefinition({
      hosts: ["a.example"],
      path: "/rooms",
      session: {
        key: [{ header: "x-room" }],
        linger: 5000,
        label: { name: "kind", from: [{ query: "kind" }], values: ["a"] },
      },
      maxConnectionAge: 9000,
      disconnects: { atOnce: 0.2, period: 700 },
    });
    const service = sampleService([sampleRelease("v1", ready(1)), sampleRelease("v2", ramping(1, 12.5))], {
      definition,
    });
    const services = routedServices([service], [sampleInstance("a", isReady)], 5);
    expect(services[0]).toMatchObject({
      name: "rooms",
      hosts: ["a.example"],
      path: "/rooms",
      key: [{ header: "x-room" }],
      label: { from: [{ query: "kind" }], values: ["a"] },
      disconnects: { atOnce: 0.2, periodMs: 700 },
      connectionAge: { maxMs: 9000, graceMs: 30_000 },
    });
    expect(routingTable.parse({ number: 3, services })).toEqual({ number: 3, services });
  });

  test("the shortest settings that the configuration takes make a table that routers read", () => {
    const { services } = holdoverConfig.parse({
      services: {
        rooms: { command: "x", disconnects: { atOnce: 0.0001, period: "1ms" }, session: { linger: "0s" }, capacity: 1 },
      },
    });
    const definition = services["rooms"] ?? sampleDefinition();
    const service = sampleService([sampleRelease("v1", current(1), { definition })], { definition });
    const table = { number: 1, services: routedServices([service], [sampleInstance("a", isReady)], 5) };
    expect(routingTable.parse(table)).toEqual(table);
  });
});

describe("the service for a host and a path", () => {
  const tableOf = (...services: { name: string; hosts?: string[]; path?: string }[]): RoutingTable => ({
    number: 1,
    services: services.map((given) => routedService([], given)),
  });

  test("is the one with the exact host, before a wildcard, before one for any host, in whatever order they stand", () => {
    const any = { name: "any" };
    const wild = { name: "wild", hosts: ["*.example.com"] };
    const exact = { name: "exact", hosts: ["other.net", "app.example.com"] };
    for (const table of [tableOf(any, wild, exact), tableOf(exact, wild, any), tableOf(wild, exact, any)]) {
      expect(serviceFor(table, "app.example.com", "/")?.name).toBe("exact");
      expect(serviceFor(table, "www.example.com", "/")?.name).toBe("wild");
      expect(serviceFor(table, "a.b.example.com", "/")?.name).toBe("wild");
      expect(serviceFor(table, "example.com", "/")?.name).toBe("any");
      expect(serviceFor(table, "badexample.com", "/")?.name).toBe("any");
    }
  });

  test("of two wildcards is the longer one's", () => {
    const wide = { name: "wide", hosts: ["*.example.com"] };
    const narrow = { name: "narrow", hosts: ["*.eu.example.com"] };
    for (const table of [tableOf(wide, narrow), tableOf(narrow, wide)]) {
      expect(serviceFor(table, "app.eu.example.com", "/")?.name).toBe("narrow");
      expect(serviceFor(table, "app.example.com", "/")?.name).toBe("wide");
    }
  });

  test("goes by the host first and by the path second", () => {
    const table = tableOf({ name: "deep", path: "/app/deep" }, { name: "host", hosts: ["a.net"] });
    expect(serviceFor(table, "a.net", "/app/deep")?.name).toBe("host");
    expect(serviceFor(table, "b.net", "/app/deep")?.name).toBe("deep");
  });

  test.each([
    ["/", "root"],
    ["/other", "root"],
    ["/app", "app"],
    ["/app/", "app"],
    ["/app/x", "app"],
    ["/apple", "root"],
    ["/app/deep", "deep"],
    ["/app/deep/er", "deep"],
    ["/app/deeper", "app"],
    ["/App", "root"],
  ])("has the longest prefix of %s in whole segments", (path, name) => {
    const table = tableOf({ name: "root" }, { name: "app", path: "/app" }, { name: "deep", path: "/app/deep/" });
    expect(serviceFor(table, "x", path)?.name).toBe(name);
  });

  test("is the first declared of two that answer for the same", () => {
    const table = tableOf({ name: "first", path: "/app/" }, { name: "second", path: "/app" });
    expect(serviceFor(table, "x", "/app")?.name).toBe("first");
  });

  test("is none where nobody answers for the host or the path", () => {
    expect(serviceFor(tableOf({ name: "a", hosts: ["a.net"] }), "b.net", "/")).toBeUndefined();
    expect(serviceFor(tableOf({ name: "a", path: "/app" }), "b.net", "/")).toBeUndefined();
    expect(serviceFor(tableOf(), "b.net", "/")).toBeUndefined();
  });
});
