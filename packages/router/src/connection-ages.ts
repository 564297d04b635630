import { jitteredAge, type RoutedService } from "@holdover/core";
import type { Part } from "./parts.ts";

/** Connections past their age are looked at so often, ms: one that sent nothing from one look to the next is at rest. */
const LOOK_MS = 1000;
/** Ages are spread over a fifth of the limit, so buckets of a thousandth of it are fine enough, and never many. */
const BUCKETS = 1000;
const LEAST_BUCKET_MS = 1000;

type Limit = NonNullable<RoutedService["connectionAge"]>;

/** A connection past its age. */
interface Due {
  readonly part: Part;
  /** How many had passed it at the last look. */
  bytes: number;
  /** It was at rest at the last look, or its grace was over. */
  isReady: boolean;
  /** It waits no longer than until then for a moment of rest, epoch ms. */
  readonly graceUntilMs: number;
}

/** Connections of one service that last, by when they are too old. */
class Wheel {
  readonly limit: Limit;
  readonly #random: () => number;
  /** By the moment at which all in it are too old, epoch ms. */
  readonly #buckets = new Map<number, Set<Part>>();
  readonly #bucketOf = new Map<Part, number>();
  readonly #due = new Map<Part, Due>();

  constructor(limit: Limit, random: () => number) {
    this.limit = limit;
    this.#random = random;
  }

  add(part: Part, sinceMs: number): void {
    const widthMs = Math.max(LEAST_BUCKET_MS, this.limit.maxMs / BUCKETS);
    const atMs = Math.ceil((sinceMs + jitteredAge(this.limit.maxMs, this.#random())) / widthMs) * widthMs;
    const bucket = this.#buckets.get(atMs);
    if (bucket) bucket.add(part);
    else this.#buckets.set(atMs, new Set([part]));
    this.#bucketOf.set(part, atMs);
  }

  delete(part: Part): void {
    const atMs = this.#bucketOf.get(part);
    this.#bucketOf.delete(part);
    this.#due.delete(part);
    if (atMs === undefined) return;
    const bucket = this.#buckets.get(atMs);
    bucket?.delete(part);
    if (bucket?.size === 0) this.#buckets.delete(atMs);
  }

  look(nowMs: number): void {
    for (const due of this.#due.values()) {
      const bytes = due.part.connection.bytes();
      due.isReady = bytes === due.bytes || nowMs >= due.graceUntilMs;
      due.bytes = bytes;
    }
    for (const [atMs, bucket] of this.#buckets) {
      if (atMs > nowMs) continue;
      this.#buckets.delete(atMs);
      const graceUntilMs = atMs + this.limit.graceMs;
      for (const part of bucket) {
        this.#bucketOf.delete(part);
        const bytes = part.connection.bytes();
        this.#due.set(part, { part, bytes, graceUntilMs, isReady: nowMs >= graceUntilMs });
      }
    }
  }

  /** Connections to be closed now, the longest due first. They may be deleted meanwhile. */
  *ready(nowMs: number): Generator<Part> {
    for (const { part, bytes, graceUntilMs, isReady } of this.#due.values()) {
      if (isReady && (nowMs >= graceUntilMs || part.connection.bytes() === bytes)) yield part;
    }
  }
}

/**
 * Connections that last, a WebSocket or a stream of events, and how old they may be. One that is past its age is closed
 * at the first look that finds it at rest, or when its grace is over.
 */
export class ConnectionAges {
  readonly #random: () => number;
  /** Of services with a limit alone. */
  readonly #wheels = new Map<string, Wheel>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** @param random from 0 up to 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Takes over the limits of a table; where one has changed, all connections of the service are weighed anew. */
  follow(services: Iterable<RoutedService>, parts: Iterable<Part>): void {
    const before = new Map(this.#wheels);
    this.#wheels.clear();
    const changed = new Set<string>();
    for (const { name, connectionAge } of services) {
      if (!connectionAge) continue;
      const known = before.get(name);
      const same = known?.limit.maxMs === connectionAge.maxMs && known.limit.graceMs === connectionAge.graceMs;
      this.#wheels.set(name, same ? known : new Wheel(connectionAge, this.#random));
      if (!same) changed.add(name);
    }
    if (changed.size === 0) return;
    for (const part of parts) if (changed.has(part.session.service)) this.add(part);
  }

  /** Does nothing for a connection that does not last, is on its way out, or may be as old as it likes. */
  add(part: Part): void {
    const wheel = this.#wheels.get(part.session.service);
    if (part.state === "held" && part.lastsSinceMs !== null) wheel?.add(part, part.lastsSinceMs);
  }

  delete(part: Part): void {
    this.#wheels.get(part.session.service)?.delete(part);
  }

  look(nowMs: number): void {
    // A clock that was set back must not put it off.
    if (Math.abs(nowMs - this.#lookedAtMs) < LOOK_MS) return;
    this.#lookedAtMs = nowMs;
    for (const wheel of this.#wheels.values()) wheel.look(nowMs);
  }

  /** Connections of a service to be closed now. They may be deleted meanwhile. */
  ready(service: string, nowMs: number): Iterable<Part> {
    return this.#wheels.get(service)?.ready(nowMs) ?? [];
  }
}
