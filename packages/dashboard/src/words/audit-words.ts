import type { AuditEntryView } from "@holdover/control/api";

/** What an audit entry tells, in a sentence without its time and its actor. */
export function entryWords({
  kind,
  release = "",
  instance = "",
  session = "",
  reason,
  detail,
}: AuditEntryView): string {
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
    case "session.moved":
      return `session ${session} was moved: ${reason}`;
    case "session.cut":
      return `session ${session} was cut: ${reason}`;
    case "session.lost":
      return `session ${session} is lost: ${reason}`;
    case "session.disrupted":
      return `session ${session} was disrupted: ${reason}`;
    case "session.placed-anew":
      return `session ${session} was placed anew on ${release}: ${reason}`;
    default: {
      const [noun = "", became = ""] = kind.split(".");
      const what = { instance, release, session }[noun] ?? release;
      return `${noun}${what === "" ? "" : ` ${what}`} ${became.replaceAll("-", " ")}: ${reason}`;
    }
  }
}
