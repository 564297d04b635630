import { randomUUID } from "node:crypto";
import type { Holdover } from "./holdover.ts";
import { answerProbe, closeServer } from "./http-drain.ts";
import type { JoinOptions } from "./join-options.ts";
import { OwnSession } from "./joined-session.ts";
import { SessionCache } from "./session-cache.ts";
import { onSignals } from "./signals.ts";
import { memoryStateLink } from "./state-link.ts";
import { States } from "./states.ts";

/** Outside of Holdover: the same, with nobody around it. Sessions are kept in this process. */
export function standAlone(options: JoinOptions, warn: (text: string) => void): Holdover {
  const { server } = options;
  const cache = new SessionCache((session) => states.leave(session, "this process has forgotten it"));
  const drained = Promise.withResolvers<void>();
  const states = new States({ service: "alone", link: memoryStateLink(), warn });
  let isReady = options.ready ?? true;
  let draining = false;
  const make = (key: string, label: string | null): OwnSession =>
    new OwnSession({
      key,
      fence: 1,
      label,
      state: states.of({ key, fence: 1 }),
      call: null,
    });
  const close = async (): Promise<void> => {
    stopSignals();
    cache.close();
  };
  const beginDrain = async (): Promise<void> => {
    if (draining) return;
    draining = true;
    const closed = server ? closeServer(server) : Promise.resolve();
    void closed.then(() => {
      drained.resolve();
      return close();
    });
  };
  const stopSignals =
    options.signals === false
      ? () => {}
      : onSignals({ isDraining: () => draining, drain: beginDrain, force: () => process.exit(1) });
  return {
    member: null,
    get admission() {
      return draining ? "existing" : "new";
    },
    get draining() {
      return draining;
    },
    deadlineMs: null,
    sessionOf(request, key) {
      if (key === undefined) return null;
      const session = cache.get(key, 1, () => make(key, null));
      if (request.socket) cache.use(session, request.socket);
      return session;
    },
    async open({ key = `~${randomUUID()}`, label = null }: { key?: string; label?: string | null } = {}) {
      const session = cache.get(key, 1, () => make(key, label));
      session.opened();
      return session;
    },
    jobSession: ({ key }) => cache.get(key, 1, () => make(key, null)),
    async finish({ key }, how) {
      await cache.get(key, 1, () => make(key, null)).endAs(how);
    },
    async forced() {},
    async ready(ready) {
      isReady = ready;
    },
    beginDrain,
    async cancelDrain() {
      if (!server?.listening && server) return;
      draining = false;
    },
    drained: drained.promise,
    onRelease: (listener) => {
      listener({ admission: "new", deadlineMs: null });
      return () => {};
    },
    probe: (request, response) =>
      answerProbe(request, response, { alive: () => true, ready: () => isReady && !draining }),
    close,
  };
}
