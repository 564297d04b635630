import type { RoutedRelease, RoutedService, Session, SessionRegistry } from "@holdover/core";
import type { Part, Parts } from "./parts.ts";

/** Connections are looked at every tenth of the time after which a session is wedged, and at most every so many ms. */
const LEAST_LOOK_MS = 1000;
const LOOKS = 10;
/** Sessions looked at in one go: a large release is looked at in slices, and holds nobody up. */
const SLICE = 5000;

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
  /** What was watched at the last look, in words. */
  #watched = "";
  /** The look that is under way. */
  #walk: Generator<void, boolean> | null = null;
  #nowMs = 0;

  /** Goes on with a look, or begins one that is due. True: other sessions are wedged than before. */
  look(services: Iterable<RoutedService>, registry: SessionRegistry, parts: Parts, nowMs: number): boolean {
    this.#nowMs = nowMs;
    this.#walk ??= this.#begin(services, registry, parts);
    if (!this.#walk) return false;
    for (let step = 0; step < SLICE; step++) {
      const { done, value } = this.#walk.next();
      if (!done) continue;
      this.#walk = null;
      return value;
    }
    return false;
  }

  #begin(services: Iterable<RoutedService>, registry: SessionRegistry, parts: Parts): Generator<void, boolean> | null {
    const watched = [...services].flatMap((service) => service.releases.flatMap(watchedOf));
    const words = JSON.stringify(watched);
    const everyMs = Math.max(LEAST_LOOK_MS, Math.min(...watched.map(({ afterMs }) => afterMs)) / LOOKS);
    // What is wedged by one table may not be by another. A clock that was set back must not put it off.
    if (words === this.#watched && Math.abs(this.#nowMs - this.#lookedAtMs) < everyMs) return null;
    this.#watched = words;
    this.#lookedAtMs = this.#nowMs;
    return this.#lookAtAll(watched, registry, parts);
  }

  *#lookAtAll(
    watched: readonly { readonly afterMs: number; readonly instances: readonly string[] }[],
    registry: SessionRegistry,
    parts: Parts,
  ): Generator<void, boolean> {
    const quiet = new Map<Part, Quiet>();
    const since = new Map<Session, number>();
    for (const { afterMs, instances } of watched) {
      for (const instance of instances) {
        for (const session of registry.on(instance)) {
          yield;
          if (session.state.name !== "open") continue;
          const sinceMs = this.#lookAt(parts.of(session), quiet);
          if (this.#nowMs - sinceMs >= afterMs) since.set(session, sinceMs);
        }
      }
    }
    const before = this.#since;
    this.#quiet = quiet;
    this.#since = since;
    return before.size !== since.size || [...before.keys()].some((session) => !since.has(session));
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

  #lookAt(parts: Iterable<Part>, quiet: Map<Part, Quiet>): number {
    const nowMs = this.#nowMs;
    let latestMs = Number.NEGATIVE_INFINITY;
    for (const part of parts) {
      const bytes = part.connection.bytes();
      const known = this.#quiet.get(part);
      const found = known?.bytes === bytes && known.sinceMs <= nowMs ? known : { bytes, sinceMs: nowMs };
      quiet.set(part, found);
      latestMs = Math.max(latestMs, found.sinceMs);
    }
    return latestMs;
  }
}

function watchedOf({ wedged, instances }: RoutedRelease): { afterMs: number; instances: string[] }[] {
  return wedged ? [{ afterMs: wedged.afterMs, instances: instances.map(({ id }) => id) }] : [];
}
