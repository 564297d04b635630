import type { PreviewRequest, ReleaseView, ServiceView } from "@holdover/control/api";
import { counted, named, number } from "../words/figures.ts";

/** How an action that was taken goes on. */
export interface Standing {
  readonly tone: "busy" | "good" | "bad";
  readonly text: string;
  /** From 0 to 1, where a part is done; null: nothing to measure. */
  readonly share: number | null;
}

/** How an action stands by what control tells of the service now. */
export function standingOf(request: PreviewRequest, service: ServiceView | undefined): Standing {
  const find = (id: string): ReleaseView | undefined => service?.releases.find((release) => release.id === id);
  switch (request.action) {
    case "deploy":
      return deployStanding(request.release, find(request.release));
    case "promote":
      return done(`${named(request.release)} is current: new sessions start on it.`);
    case "ramp":
      return done(`${named(request.release)} takes ${number(request.percent)}% of the new sessions.`);
    case "rollback":
      return done(
        service?.current == null
          ? "Rolled back."
          : `${named(service.current)} is current again: new sessions start on it.`,
      );
    case "retire":
      return retireStanding(request.release, find(request.release));
    case "restart":
      return restartStanding(find(service?.current ?? ""));
    case "move":
      return done("It is asked to move.");
  }
}

const done = (text: string): Standing => ({ tone: "good", text, share: null });
const busy = (text: string, share: number | null): Standing => ({ tone: "busy", text, share });

function deployStanding(id: string, release: ReleaseView | undefined): Standing {
  if (!release) return busy(`${named(id)} is being taken up.`, null);
  const ready = release.instances.filter(({ state }) => state === "ready").length;
  switch (release.state) {
    case "starting":
      return busy(
        ready < release.instancesWanted
          ? `${named(id)} is starting: ${number(ready)} of ${counted(release.instancesWanted, "instance")} healthy.`
          : `${named(id)} is healthy; its gate is tried.`,
        ready / (release.instancesWanted + 1),
      );
    case "ready":
      return release.then === "wait"
        ? done(`${named(id)} is ready and waits for your word.`)
        : busy(`${named(id)} is ready.`, 1);
    case "ramping":
      return done(`${named(id)} takes ${number(release.percent)}% of the new sessions.`);
    case "current":
      return done(`${named(id)} is current: new sessions start on it.`);
    case "failed":
      return { tone: "bad", text: `${named(id)} failed: ${release.failure?.problem ?? "see its log"}`, share: null };
    case "retained":
    case "expiring":
    case "retired":
      return done(`${named(id)} is ${release.state}.`);
  }
}

function retireStanding(id: string, release: ReleaseView | undefined): Standing {
  if (!release || release.state === "retired") return done(`${named(id)} is retired: no session, no instance.`);
  const { sessions } = release;
  if (sessions === null)
    return busy(`${named(id)} is ${release.state}; how many sessions are left is not known.`, null);
  const left = sessions.open + sessions.lingering;
  return busy(`${named(id)} is ${release.state}: ${counted(left, "session")} left.`, null);
}

function restartStanding(release: ReleaseView | undefined): Standing {
  const restart = release?.restart;
  if (!release || !restart) return done("All instances are replaced.");
  const left = restart.waiting.length + restart.leaving.length;
  return busy(
    `${number(restart.leaving.length)} being replaced, ${number(restart.waiting.length)} waiting.`,
    1 - left / Math.max(left, release.instancesWanted),
  );
}
