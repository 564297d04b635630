import { dispatcherConformance } from "@holdover/testkit/conformance/dispatcher";
import { brokerDispatcher } from "@holdover/worker";
import { vi } from "vitest";
import { at, routed, WorkerWorld } from "./worker-world.ts";

dispatcherConformance("The broker's dispatcher over a worker link", async () => {
  const world = new WorkerWorld();
  await world.open();
  const env = await world.start("rooms.v1-1");
  world.apply(routed("v1", "new", [at("rooms.v1-1")]));
  const dispatcher = brokerDispatcher({ env, warn: () => {} });
  return {
    dispatcher,
    ask: async ({ key, agent = "default", tenant = null, label = null, payload = null }) => {
      try {
        const request = { service: "rooms", key, agent, tenant, label, payload };
        const opened = await world.router.workers.open(request);
        return { taken: true, session: { key: opened.key, fence: opened.fence } };
      } catch (thrown) {
        return { taken: false, why: String(thrown) };
      }
    },
    breakLink: async () => {
      const before = world.count("worker.away");
      const [worker] = world.router.workers.linked("rooms");
      worker?.link?.close();
      await vi.waitFor(() => {
        if (world.count("worker.away") === before) throw new Error("the link stands");
      });
    },
    admit: async (admits) => {
      world.apply(routed("v1", admits, [at("rooms.v1-1")]));
    },
    endOf: async ({ key, fence }) => {
      const live = await world.session(key);
      if (live?.fence === fence) return null;
      const events = await world.host.pins.events(1000);
      const ended = events.find((event) => event.kind === "ended" && event.session.fence === fence);
      return ended?.kind === "ended" ? ended.session.reason : null;
    },
    close: () => world.close(),
  };
});
