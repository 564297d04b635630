import { nameOf } from "./definition.ts";
import type { Declared, Schedule, Step } from "./schedule.ts";

/** A schedule for people: a line for each service, clock and step. */
export function storyOf({ services, clocks, steps }: Schedule): string[] {
  return [
    ...services.map((declared, index) => `service ${nameOf(index)}: ${wordsOf(declared)}`),
    ...Object.entries(clocks).map(
      ([of, { offsetMs, ppm }]) => `clock of ${of}: ${offsetMs} ms off, ${ppm} ppm too fast`,
    ),
    ...steps.map((step) => `${String(step.atMs).padStart(7)} ms  ${stepWords(step)}`),
  ];
}

function wordsOf({ instances, capacity, lingerMs, retention, disconnects, gate, maxConnectionAge }: Declared): string {
  const { policy, ...settings } = retention;
  const window = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return [
    `${instances} ${instances === 1 ? "instance" : "instances"}${capacity === null ? "" : ` of ${capacity} sessions`}`,
    `linger ${lingerMs} ms`,
    `${policy} (${window.join(", ")})`,
    `at most ${disconnects.atOnce * 100}% closed in ${disconnects.periodMs} ms`,
    ...(gate ? ["with a gate"] : []),
    ...(maxConnectionAge ? [`connections up to ${maxConnectionAge.maxMs} ms old`] : []),
  ].join(", ");
}

function stepWords(step: Step): string {
  const service = "service" in step ? nameOf(step.service) : "";
  switch (step.do) {
    case "client": {
      const manners = [step.stubbornMs > 0 && `stubborn for ${step.stubbornMs} ms`, step.quiet && "quiet"];
      const stays = [`stays ${step.staysMs} ms`, step.returns && "comes back", ...manners].filter(Boolean).join(", ");
      return `client of ${service}, ${step.key === null ? "without a key" : `key ${step.key}`}: ${stays}`;
    }
    case "deploy": {
      const then = typeof step.then === "number" ? `ramp to ${step.then}%` : step.then;
      const { kind, startMs, exitMs } = step.build;
      const build = `${kind} build that starts in ${startMs} ms and exits in ${exitMs} ms`;
      const again = step.again === null ? "a new release" : `release ${step.again} of those that are over`;
      return `deploy ${again} of ${service}, then ${then}: ${build}; ${wordsOf(step.declared)}`;
    }
    case "promote":
    case "ramp":
      return `${step.do} release ${step.which} of ${service}${step.do === "ramp" ? ` to ${step.percent}%` : ""}`;
    case "rollback": {
      const to = step.which === null ? "the one before" : `release ${step.which}`;
      return `rollback of ${service} to ${to}${step.cut ? ", cutting sessions" : ""}`;
    }
    case "retire":
      return `retire release ${step.which} of ${service}${step.now ? " now" : ""}`;
    case "restart":
      return `restart ${service}, ${step.batch} at once, wait ${step.waitMs} ms, grace ${step.graceMs} ms`;
    case "move":
      return `move session ${step.key} of ${service}`;
    case "prepare":
      return step.inMs === null ? `call the cutover of ${service} off` : `prepare ${service} for ${step.inMs} ms on`;
    case "crash":
      return `crash of ${step.who}, down for ${step.downMs} ms`;
    case "kill":
      return `crash of running instance ${step.which}`;
    case "link":
      return `link: ${step.fault} for ${step.forMs} ms`;
    case "disk":
      return `disk of ${step.of}: ${step.fault} for ${step.forMs} ms`;
    case "clock":
      return `clock of ${step.of} is set by ${step.byMs} ms`;
  }
}
