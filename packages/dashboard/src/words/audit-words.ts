import type { AuditEntryView } from "@holdover/control/api";
import { named } from "./figures.ts";

/**
 * What an audit entry tells, in a sentence without its time and its actor.
 * @param known a session key that the reader knows it is about
 */
export function entryWords(entry: AuditEntryView, known?: string): string {
  const { kind, release = "", instance = "", reason, detail } = entry;
  const session = entry.session === undefined || entry.session === known ? "" : ` ${named(entry.session)}`;
  switch (kind) {
    case "release.starting":
      return `${release} is starting: ${reason}`;
    case "release.ready":
      return `${release} is ready: ${reason}`;
    case "release.ramping":
      return `${release} takes ${String(detail?.["percent"] ?? "a share")}% of the new sessions`;
    case "release.current":
      return `${release} is current: new sessions start on it`;
    case "release.rolled-back":
      return `rolled back to ${release}: ${reason}`;
    case "release.retained":
      return `${release} is retained: its sessions finish on it`;
    case "release.expiring":
      return `${release} is expiring: ${reason}`;
    case "release.retired":
      return `${release} is retired: ${reason}`;
    case "release.failed":
      return `${release} failed: ${reason}`;
    case "release.snapshot":
      return `${release} is copied: ${reason}`;
    case "release.deadline":
      return `${release} has a deadline: ${reason}`;
    case "instance.starting":
    case "instance.ready":
      return `instance ${instance} is ${kind.slice("instance.".length)}`;
    case "session.moved":
      return `session${session} was moved: ${reason}`;
    case "session.cut":
      return `session${session} was cut: ${reason}`;
    case "session.lost":
      return `session${session} is lost: ${reason}`;
    case "session.disrupted":
      return `session${session} was disrupted: ${reason}`;
    case "session.placed-anew":
      return `session${session} was placed anew on ${release}: ${reason}`;
    default: {
      const [noun = "", became = ""] = kind.split(".");
      const what = { instance, release, session: session.trim() }[noun] ?? release;
      return `${noun}${what === "" ? "" : ` ${what}`} ${became.replaceAll("-", " ")}: ${reason}`;
    }
  }
}

/** How an entry looks in a list: what went wrong or cost somebody stands out. */
export function entryTone(kind: string): "bad" | "warn" | "good" | "quiet" {
  if (BAD.test(kind)) return "bad";
  if (WARN.test(kind)) return "warn";
  return kind === "release.current" ? "good" : "quiet";
}

const BAD = /^(?:release\.failed|instance\.lost|session\.(?:cut|lost|disrupted)|worker\.rejected)$/;
const WARN = /^(?:release\.(?:expiring|rolled-back)|override\.used|session\.moved|host\.closing|worker\.revoked)$/;
