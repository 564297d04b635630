import {
  asHoldoverError,
  CheckpointWriter,
  CHECKPOINT_QUOTA,
  HoldoverError,
  isName,
  olderCopyName,
  olderCopyVersions,
  isOlderCopy,
  readableEntry,
  type Checkpoint,
  type CheckpointEntry,
  type EncodedValue,
  type SessionClaim,
  type SessionFormat,
} from "@holdover/core";
import { EphemeralCounts, Ephemerals, type EphemeralStats } from "./state-ephemeral.ts";
import type { StateLink } from "./state-link.ts";

/** Under which name a value is kept, where it is not that of its format: 1 to 111 bytes, no control characters and no `#`. */
export interface StateName {
  readonly name?: string;
}

/** A value that is written together with others: its format, itself, and its name where it is another. */
export type StateValue<Value> = readonly [format: SessionFormat<Value>, value: Value, at?: StateName];

/** What a session keeps: the values that must survive this process, and those that can be made again. */
export interface SessionState {
  /**
   * The value as it was last written, by whichever release and instance; undefined where there is none. Waits for writes of
   * this session that were called before.
   *
   * @throws HoldoverError FORMAT_UNKNOWN for one that only a newer release can read; FORMAT_FAILED where an upgrade threw or
   *   the schema does not take it; CHECKPOINT_STALE; CHECKPOINT_INVALID for a name that cannot be; what the link throws.
   *   What is stored stays as it is.
   */
  read<Value>(format: SessionFormat<Value>, at?: StateName): Promise<Value | undefined>;

  /**
   * Resolves when the value is durable. It is taken as it is at the call: what is changed in it later is not written. What
   * is written within one turn, or while an earlier write is under way, goes to the store together; of each name the last.
   *
   * @throws HoldoverError FORMAT_FAILED for a value that its schema does not take; CHECKPOINT_TOO_LARGE; CHECKPOINT_STALE;
   *   CHECKPOINT_BACKLOG while 1,000 writes wait; CHECKPOINT_INVALID for a name that cannot be; STORE_FAILED and what else
   *   the link throws. What was acknowledged before is kept.
   */
  write<Value>(format: SessionFormat<Value>, value: Value, at?: StateName): Promise<void>;
  /** All of these values, or none. @throws HoldoverError as for one */
  write<Values extends readonly unknown[]>(
    values: readonly [...{ [Index in keyof Values]: StateValue<Values[Index]> }],
  ): Promise<void>;

  /**
   * A value that can be made again, kept in the memory of this instance. Calls that come while it is loaded share the load;
   * one that fails is not kept. Of over 100 names the one that was not asked for the longest is forgotten.
   *
   * @param load its signal is {@link lost}
   * @throws HoldoverError CHECKPOINT_STALE; what `load` throws
   */
  ephemeral<Value>(name: string, load: (signal: AbortSignal) => Value | Promise<Value>): Promise<Value>;

  /** Aborts, with the error as its reason, when this instance does not own the session any more: stop working on it. */
  readonly lost: AbortSignal;

  stats(): EphemeralStats;
}

/** What the states of all sessions of a process share. */
export interface StateContext {
  readonly link: StateLink;
  /** Says what the application's developer should know and no call fails for. Once for each problem. */
  readonly warn: (problem: string) => void;
  /** A clock that does not go back, ms. */
  readonly now: () => number;
  readonly counts: EphemeralCounts;
}

/** An entry without its value. */
interface KnownEntry {
  readonly format: string;
  readonly version: number;
  /** How many. */
  readonly bytes: number;
}

/** The longest mark that is put behind a name: `#` and a version. */
const LONGEST_MARK = "#".padEnd(17, "9");

/** The state of one session under one fence. After it is lost, every call fails with the error that said so. */
export class OwnedState implements SessionState {
  readonly #session: SessionClaim;
  readonly #context: StateContext;
  readonly #writer: CheckpointWriter;
  readonly #counts: EphemeralCounts;
  readonly #ephemerals: Ephemerals;
  readonly #lost = new AbortController();
  /** Settles once the session is claimed and {@link #known} is. Every write awaits it, which keeps them in order. */
  #opened: Promise<unknown> | undefined;
  /** What was read last, until something is written. */
  #read: Promise<Checkpoint | undefined> | undefined;
  /** Settles after all writes that were called. */
  #writes: Promise<unknown> = Promise.resolve();
  /** Every entry that is stored, or may be: none is forgotten, so that no copy for an older release goes stale. */
  readonly #known = new Map<string, KnownEntry>();

  constructor(session: SessionClaim, context: StateContext) {
    this.#session = session;
    this.#context = context;
    this.#writer = new CheckpointWriter(context.link, session);
    this.#counts = new EphemeralCounts(context.counts);
    this.#ephemerals = new Ephemerals(this.#counts, context.now);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  stats(): EphemeralStats {
    return this.#counts.stats();
  }

  /** The session is not this instance's any more. */
  lose(error: HoldoverError): void {
    if (this.lost.aborted) return;
    this.#lost.abort(error);
    this.#ephemerals.clear();
  }

  async read<Value>(format: SessionFormat<Value>, at?: StateName): Promise<Value | undefined> {
    this.lost.throwIfAborted();
    const name = this.#nameOf(format, at);
    await this.#writes;
    const checkpoint = await this.#load();
    this.lost.throwIfAborted();
    const entries = new Map(checkpoint?.entries.map((entry) => [entry.name, entry]));
    const entry = readableEntry(format, name, entries);
    return entry && format.decode(entry);
  }

  write<Value>(format: SessionFormat<Value>, value: Value, at?: StateName): Promise<void>;
  write(values: readonly StateValue<unknown>[]): Promise<void>;
  write(
    first: SessionFormat<unknown> | readonly StateValue<unknown>[],
    value?: unknown,
    at?: StateName,
  ): Promise<void> {
    const values = "encode" in first ? [[first, value, at ?? {}] as const] : first;
    const written = this.#write(values);
    // Without the results: each would hold those of all before it.
    this.#writes = Promise.allSettled([this.#writes, written]).then(() => {});
    return written;
  }

  async ephemeral<Value>(name: string, load: (signal: AbortSignal) => Value | Promise<Value>): Promise<Value> {
    this.lost.throwIfAborted();
    return this.#ephemerals.get(name, () => load(this.lost));
  }

  /**
   * Makes copies for older releases that came after the last write: the session may have nothing to write before one of
   * them has to read it. What the application writes meanwhile brings its own copies along, which then are known here.
   *
   * @throws HoldoverError CHECKPOINT_STALE, and what the link throws
   */
  async copyForOlder(formats: readonly SessionFormat<unknown>[]): Promise<void> {
    await this.#writes;
    const checkpoint = await this.#load();
    this.lost.throwIfAborted();
    const entries = new Map<string, CheckpointEntry>();
    for (const entry of checkpoint?.entries ?? []) {
      const format = formats.find(({ name }) => name === entry.format);
      if (isOlderCopy(entry.name) || entry.version !== format?.version) continue;
      for (const copy of this.#copies(entry.name, format, entry).values()) {
        if (!this.#known.has(copy.name)) entries.set(copy.name, copy);
      }
    }
    this.#dropCopiesBeyondQuota(entries);
    if (entries.size === 0) return;
    const copied = this.#store(entries);
    this.#writes = Promise.allSettled([this.#writes, copied]).then(() => {});
    await copied;
  }

  async #write(values: readonly StateValue<unknown>[]): Promise<void> {
    this.lost.throwIfAborted();
    const encoded = values.map(([format, value, at]) => ({
      name: this.#nameOf(format, at),
      format,
      own: format.encode(value),
    }));
    await this.#open();
    this.lost.throwIfAborted();
    const entries = new Map<string, CheckpointEntry>();
    for (const { name, format, own } of encoded) {
      entries.set(name, { name, ...own });
      for (const [version, copy] of this.#copies(name, format, own)) {
        entries.set(olderCopyName(name, version), copy);
      }
    }
    if (entries.size === 0) return;
    this.#dropCopiesBeyondQuota(entries);
    await this.#store(entries);
  }

  async #store(entries: ReadonlyMap<string, CheckpointEntry>): Promise<void> {
    const before = new Map(this.#known);
    for (const entry of entries.values()) this.#note(entry);
    this.#read = undefined;
    try {
      await this.#writer.write([...entries.values()]);
    } catch (thrown) {
      // It may be stored all the same: the names stay known.
      for (const [name, entry] of entries)
        this.#known.set(name, before.get(name) ?? { format: entry.format, version: entry.version, bytes: 0 });
      throw this.#noted(thrown);
    } finally {
      // What was read while this was under way may be from before.
      this.#read = undefined;
    }
  }

  /**
   * What an older release reads after a rollback, for each version that runs, and for each that is there already: it would
   * go stale. One without bytes stands where nothing can be made any more.
   */
  #copies(name: string, format: SessionFormat<unknown>, own: EncodedValue): Map<number, CheckpointEntry> {
    const copies = new Map<number, CheckpointEntry>();
    const there = olderCopyVersions(name, this.#known.keys());
    const wanted = this.#context.link.olderVersions(format.name).filter((version) => version < format.version);
    for (const version of new Set([...wanted, ...there])) {
      const copy = version < format.version ? this.#copy(format, own, version) : undefined;
      const at = olderCopyName(name, version);
      if (copy) copies.set(version, { name: at, ...copy });
      else if (this.#known.has(at)) copies.set(version, goneCopy(at, format.name, version));
    }
    return copies;
  }

  #copy(format: SessionFormat<unknown>, own: EncodedValue, version: number): EncodedValue | undefined {
    try {
      const copy = format.downgrade(own, version);
      if (copy.bytes.byteLength <= CHECKPOINT_QUOTA.entryBytes) return copy;
      this.#warn(format.name, version, `it would have over ${CHECKPOINT_QUOTA.entryBytes} bytes`);
    } catch (thrown) {
      const { details, code } = asHoldoverError(thrown);
      this.#warn(format.name, version, String(details["redacted"] ?? code));
    }
    return undefined;
  }

  /** The values themselves come first: where the session has no room for both, it goes without what a rollback would need. */
  #dropCopiesBeyondQuota(entries: Map<string, CheckpointEntry>): void {
    for (const names of [[...entries.keys()], [...this.#known.keys()]]) {
      if (this.#fits(entries)) return;
      for (const at of names.filter(isOlderCopy)) {
        const entry = entries.get(at) ?? this.#known.get(at);
        if (!entry || sizeOf(entry.bytes) === 0) continue;
        this.#warn(entry.format, entry.version, "the session has no room for it within its quota");
        if (this.#known.has(at)) entries.set(at, goneCopy(at, entry.format, entry.version));
        else entries.delete(at);
      }
    }
  }

  #fits(entries: ReadonlyMap<string, CheckpointEntry>): boolean {
    const after = new Map<string, KnownEntry | CheckpointEntry>([...this.#known, ...entries]);
    let total = 0;
    for (const { bytes } of after.values()) total += sizeOf(bytes);
    return after.size <= CHECKPOINT_QUOTA.entries && total <= CHECKPOINT_QUOTA.sessionBytes;
  }

  #warn(format: string, version: number, reason: string): void {
    this.#context.warn(
      `A release that reads session format ${format} in version ${version} still runs, and a rollback to it would lose this state: ${reason}`,
    );
  }

  #open(): Promise<unknown> {
    this.#opened ??= this.#load().catch((thrown: unknown) => {
      this.#opened = undefined;
      throw thrown;
    });
    return this.#opened;
  }

  /** Asks the store, once for all who want to know at the same time. */
  #load(): Promise<Checkpoint | undefined> {
    this.#read ??= this.#ask();
    return this.#read;
  }

  async #ask(): Promise<Checkpoint | undefined> {
    try {
      const checkpoint = await this.#context.link.open(this.#session);
      for (const entry of checkpoint?.entries ?? []) this.#note(entry);
      return checkpoint;
    } catch (thrown) {
      this.#read = undefined;
      throw this.#noted(thrown);
    }
  }

  #note({ name, format, version, bytes }: CheckpointEntry): void {
    this.#known.set(name, { format, version, bytes: bytes.byteLength });
  }

  /** Notes that the session was placed elsewhere, if that is what an error says. */
  #noted(thrown: unknown): HoldoverError {
    const error = asHoldoverError(thrown);
    if (error.code === "CHECKPOINT_STALE" || error.code === "SESSION_NOT_HELD") this.lose(error);
    return error;
  }

  /** @throws HoldoverError CHECKPOINT_INVALID */
  #nameOf(format: { readonly name: string }, { name = format.name }: StateName = {}): string {
    // The names of the copies have to be names as well.
    if (isName(name) && !isOlderCopy(name) && isName(name + LONGEST_MARK)) return name;
    const { service, key } = this.#session;
    const problem = "the name of a value has 1 to 111 bytes without control characters and without #";
    throw new HoldoverError("CHECKPOINT_INVALID", { service, key, problem });
  }
}

function goneCopy(name: string, format: string, version: number): CheckpointEntry {
  return { name, format, version, bytes: new Uint8Array() };
}

function sizeOf(bytes: Uint8Array | number): number {
  return typeof bytes === "number" ? bytes : bytes.byteLength;
}
