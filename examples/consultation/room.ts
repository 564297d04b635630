// One consultation: who is in it, what was written and what was agreed to. The last two are critical: they are told to
// anybody only when they are kept, and are there again when the room lives elsewhere.
import { randomBytes } from "node:crypto";
import type { JoinedSession, SessionFormat, SessionState, StateValue } from "@holdover/worker";
import { SEATS, Stage, slotOf } from "./sfu.ts";

const MOST_LINES = 200;
/** Whoever lost the line, and not the call, has so long to come back to his seat, ms: a router may be started anew meanwhile. */
const ABSENT_MS = 60_000;

type Role = "advisor" | "customer";

export interface Written {
  /** Given by whoever writes it: written twice, it is kept once. */
  readonly id: string;
  readonly from: string;
  readonly text: string;
  /** Null where whoever kept it did not know. */
  readonly atMs: number | null;
}

export interface Consent {
  readonly by: string;
  readonly atMs: number;
  /** Which version of the terms it was. */
  readonly terms: string;
}

export interface Kept {
  readonly lines: readonly Written[];
  readonly consent: Consent | null;
}

/** How a release keeps a room. */
export interface Model {
  readonly formats: readonly SessionFormat<unknown>[];
  read(state: SessionState): Promise<Kept>;
  value(kept: Kept): StateValue<unknown>;
}

/** What a customer agrees to. */
export interface Terms {
  readonly version: string;
  readonly text: string;
}

/** Tells one browser something. */
export type Tell = (message: object) => void;

/** Somebody in the room. */
export interface Person {
  readonly seat: number;
  /** Known to this person alone: whoever has it may come back to the seat. */
  readonly token: string;
  readonly name: string;
  readonly role: Role;
  /** Null: the line is lost, and maybe not the call. */
  tell: Tell | null;
  hasMedia: boolean;
  absent: NodeJS.Timeout | undefined;
}

export interface Entering {
  readonly name: string;
  readonly role: Role;
  /** Of the seat on which this browser sat before. */
  readonly token: string | null;
}

const PLACE = {
  release: process.env["HOLDOVER_RELEASE"] ?? "dev",
  instance: process.env["HOLDOVER_INSTANCE"] ?? `dev-${process.pid}`,
};

export class Room {
  readonly session: JoinedSession;
  readonly #model: Model;
  readonly #terms: Terms;
  readonly #empty: () => void;
  readonly #stage = new Stage();
  readonly #people = new Map<number, Person>();
  /** Lines that are open, also of those who have not entered yet. */
  #lines = 0;
  readonly #loaded: Promise<void>;
  #kept: Kept = { lines: [], consent: null };
  /** Since when two people are here, ms of this process's clock; null: they are not. */
  #sinceMs: number | null = null;
  /** One change after another. */
  #turn: Promise<unknown>;

  /** @param empty is called when nobody is here any more, and nobody is at the door */
  constructor(session: JoinedSession, { model, terms }: { model: Model; terms: Terms }, empty: () => void) {
    this.session = session;
    this.#model = model;
    this.#terms = terms;
    this.#empty = empty;
    this.#loaded = model.read(session.state).then((kept) => {
      this.#kept = kept;
    });
    this.#turn = this.#loaded.catch(() => {});
  }

  /** Somebody is at the door: the room is kept until each who arrived is {@link gone}. */
  arrive(): void {
    this.#lines += 1;
  }

  /**
   * Gives somebody a seat: the one of before to whoever has its token.
   * @returns null where every seat is taken
   * @throws what the store says
   */
  async enter({ name, role, token }: Entering, tell: Tell): Promise<Person | null> {
    await this.#loaded;
    const before = [...this.#people.values()].find((person) => person.token === token);
    const seat =
      before?.seat ?? Array.from({ length: SEATS }, (_, seat) => seat).find((seat) => !this.#people.has(seat));
    if (seat === undefined) return null;
    const person: Person = before ?? {
      seat,
      token: randomBytes(16).toString("base64url"),
      name,
      role,
      tell: null,
      hasMedia: false,
      absent: undefined,
    };
    clearTimeout(person.absent);
    person.tell?.({ type: "replaced" });
    person.tell = tell;
    this.#people.set(seat, person);
    if (this.#people.size > 1) this.#sinceMs ??= performance.now();
    tell({
      type: "welcome",
      ...PLACE,
      token: person.token,
      resumed: person.hasMedia,
      terms: this.#terms,
      ...this.#kept,
    });
    this.#tellPeople();
    return person;
  }

  /** Connects somebody's camera and microphone. @returns the answer @throws OfferRefused */
  async connect(person: Person, offer: string): Promise<string> {
    const answer = await this.#stage.join(person.seat, offer, () => {
      person.hasMedia = false;
      if (person.tell) person.tell({ type: "media-lost" });
      else this.#leave(person);
    });
    person.hasMedia = true;
    return answer;
  }

  /** Keeps what somebody wrote. @throws where it is not kept */
  write(person: Person, { id, text }: Pick<Written, "id" | "text">): Promise<void> {
    return this.#change(async () => {
      const { lines, consent } = this.#kept;
      if (lines.some((line) => line.id === id)) return;
      if (lines.length >= MOST_LINES) throw new Error("nothing more can be written in this room");
      const line = { id, from: person.name, text, atMs: Date.now() };
      await this.#keep({ lines: [...lines, line], consent });
      this.#tell({ type: "line", line });
    });
  }

  /** Keeps that a customer agreed to the terms. @throws where it is not kept */
  agree(person: Person): Promise<void> {
    return this.#change(async () => {
      const { lines, consent } = this.#kept;
      if (person.role !== "customer") throw new Error("a customer agrees, and nobody for him");
      if (consent) return;
      const agreed = { by: person.name, atMs: Date.now(), terms: this.#terms.version };
      await this.#keep({ lines, consent: agreed });
      this.#tell({ type: "consent", consent: agreed });
    });
  }

  /**
   * A line is gone, with whoever was on it.
   * @param left he hung up; otherwise he may come back, for as long as there is still something of him
   */
  gone(person: Person | null, tell: Tell, left: boolean): void {
    this.#lines -= 1;
    if (person?.tell === tell) {
      person.tell = null;
      if (left || !person.hasMedia) this.#leave(person);
      else person.absent = setTimeout(() => this.#leave(person), ABSENT_MS);
    }
    this.#lookIfEmpty();
  }

  #leave(person: Person): void {
    clearTimeout(person.absent);
    this.#people.delete(person.seat);
    this.#stage.leave(person.seat);
    if (this.#people.size < 2) this.#sinceMs = null;
    this.#tellPeople();
    this.#lookIfEmpty();
  }

  #lookIfEmpty(): void {
    if (this.#people.size === 0 && this.#lines === 0) this.#empty();
  }

  #change(change: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(change);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #keep(kept: Kept): Promise<void> {
    await this.session.state.write([this.#model.value(kept)]);
    this.#kept = kept;
  }

  /** Each hears who is here, and on which of the lines of his own connection. */
  #tellPeople(): void {
    const forMs = this.#sinceMs === null ? null : Math.round(performance.now() - this.#sinceMs);
    for (const { seat, tell } of this.#people.values())
      tell?.({
        type: "people",
        forMs,
        others: [...this.#people.values()]
          .filter((other) => other.seat !== seat)
          .map((other) => ({ name: other.name, role: other.role, slot: slotOf(seat, other.seat) })),
      });
  }

  #tell(message: object): void {
    for (const { tell } of this.#people.values()) tell?.(message);
  }
}
