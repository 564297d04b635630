import type { RoutedRelease, RoutedService, Session, SessionRegistry } from "@holdover/core";
import type { Part, Parts } from "./parts.ts";

/** Connections are looked at every tenth of the time after which a session is wedged, and at most every so many ms. */
const LEAST_LOOK_MS = 1000;
const LOOKS = 10;

/** How many bytes had passed a connection, and at which look that was first so. */
interface Quiet {
  readonly bytes: number;
  readonly sinceMs: number;
}

/**
 * Sessions of retained releases on which nothing is sent any more, either way, although their connections stand. A look
 * that finds another number of bytes finds a session alive: so it is wedged up to one look later than it could be, and
 * never earlier. Nothing is kept of sessions of other releases.
 */
export class Wedged {
  #quiet = new Map<Part, Quiet>();
  #since = new Map<Session, number>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** The next look is due at once: what is wedged by one table may not be by another. */
  tableChanged(): void {
    this.#lookedAtMs = Number.NEGATIVE_INFINITY;
  }

  /** True: other sessions are wedged than before. */
  look(services: Iterable<RoutedService>, registry: SessionRegistry, parts: Parts, nowMs: number): boolean {
    const watched = [...services].flatMap((service) => service.releases.flatMap(watchedOf));
    const everyMs = Math.max(LEAST_LOOK_MS, Math.min(...watched.map(({ afterMs }) => afterMs)) / LOOKS);
    // A clock that was set back must not put it off.
    if (Math.abs(nowMs - this.#lookedAtMs) < everyMs && watched.length > 0) return false;
    this.#lookedAtMs = nowMs;
    const before = { quiet: this.#quiet, since: this.#since };
    this.#quiet = new Map();
    this.#since = new Map();
    for (const { afterMs, instances } of watched) {
      for (const instance of instances) {
        for (const session of registry.on(instance.id)) {
          if (session.state.name !== "open") continue;
          const sinceMs = this.#lookAt(parts.of(session), before.quiet, nowMs);
          if (nowMs - sinceMs >= afterMs) this.#since.set(session, sinceMs);
        }
      }
    }
    const { since } = before;
    return since.size !== this.#since.size || [...since.keys()].some((session) => !this.#since.has(session));
  }

  /** Since when nothing was sent, epoch ms, where that makes it wedged; null: it is not. */
  since(session: Session): number | null {
    return session.state.name === "open" ? (this.#since.get(session) ?? null) : null;
  }

  /** Wedged sessions by instance, for those that have any. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { state, place } of this.#since.keys()) {
      if (state.name === "open" && place) counts.set(place.instance, (counts.get(place.instance) ?? 0) + 1);
    }
    return counts;
  }

  /** Sessions of a service that are to be cut for it, and on which nothing was sent since the look, either. They may be ended meanwhile. */
  *toCut(service: RoutedService, parts: Parts): Generator<Session> {
    const releases = new Set(service.releases.flatMap(({ id, wedged }) => (wedged?.cut ? [id] : [])));
    if (releases.size === 0) return;
    for (const session of this.#since.keys()) {
      if (session.service !== service.name || session.state.name !== "open") continue;
      if (!releases.has(session.lastPlace.release)) continue;
      const quiet = [...parts.of(session)].every((part) => part.connection.bytes() === this.#quiet.get(part)?.bytes);
      if (quiet) yield session;
    }
  }

  #lookAt(parts: Iterable<Part>, before: ReadonlyMap<Part, Quiet>, nowMs: number): number {
    let latestMs = Number.NEGATIVE_INFINITY;
    for (const part of parts) {
      const bytes = part.connection.bytes();
      const known = before.get(part);
      const quiet = known?.bytes === bytes && known.sinceMs <= nowMs ? known : { bytes, sinceMs: nowMs };
      this.#quiet.set(part, quiet);
      latestMs = Math.max(latestMs, quiet.sinceMs);
    }
    return latestMs;
  }
}

function watchedOf({ wedged, instances }: RoutedRelease): { afterMs: number; instances: RoutedRelease["instances"] }[] {
  return wedged ? [{ afterMs: wedged.afterMs, instances }] : [];
}
