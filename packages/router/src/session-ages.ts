import {
  binAges,
  type AgeGroup,
  type AgesQuery,
  type Clock,
  type Session,
  type SessionAges,
  type SessionRegistry,
} from "@holdover/core";

/** Of more sessions than this a group keeps a sample: half of it to all of it, evenly over the registry's order. */
const MOST_SAMPLED = 20_000;
/** So many sessions are looked at in one go, and others get their turn in between. */
const SLICE = 10_000;

/** Every so manieth number of those that it is given: in one pass, before anybody knows how many there are. */
class Sample {
  readonly #kept: number[] = [];
  #every = 1;
  #seen = 0;

  add(number: number): void {
    if (this.#seen % this.#every === 0) {
      if (this.#kept.length === MOST_SAMPLED) this.#thin();
      if (this.#seen % this.#every === 0) this.#kept.push(number);
    }
    this.#seen += 1;
  }

  bins(): AgeGroup["open"] {
    return binAges(Float64Array.from(this.#kept), this.#seen);
  }

  #thin(): void {
    this.#every *= 2;
    let kept = 0;
    for (let at = 0; at < this.#kept.length; at += 2) this.#kept[kept++] = this.#kept[at] ?? 0;
    this.#kept.length = kept;
  }
}

interface Group extends Pick<AgeGroup, "release" | "instance" | "label"> {
  readonly open: Sample;
  readonly lingering: Sample;
  jobs: number;
}

/**
 * How old the sessions of a service are, and how much longer those without a connection may linger.
 * A session without a place is on no instance, and holds none back: it is left out. What changes meanwhile is counted as it
 * is when its turn comes.
 * @param isJob whether an open session finishes by itself
 */
export async function sessionAges(
  registry: SessionRegistry,
  { service, by }: AgesQuery,
  clock: Clock,
  isJob: (session: Session) => boolean,
): Promise<SessionAges> {
  const groups = new Map<string, Map<string | null, Group>>();
  const atMs = clock.now();
  let seen = 0;
  for (const session of registry.of(service)) {
    seen += 1;
    if (seen % SLICE === 0) await new Promise<void>((resolve) => void clock.after(0, resolve));
    const { place, label, state } = session;
    if (!place) continue;
    // No two releases have an instance in common, so its name is enough.
    const name = by === "instance" ? place.instance : place.release;
    let byLabel = groups.get(name);
    if (!byLabel) groups.set(name, (byLabel = new Map()));
    let group = byLabel.get(label);
    if (!group) byLabel.set(label, (group = groupOf(session, by)));
    if (state.name === "lingering") group.lingering.add(state.sinceMs + session.lingerMs - atMs);
    else {
      group.open.add(atMs - session.openedAtMs);
      if (isJob(session)) group.jobs += 1;
    }
  }
  return {
    atMs,
    groups: Array.from(groups.values(), (byLabel) => Array.from(byLabel.values(), answerOf)).flat(),
  };
}

function groupOf({ lastPlace, label }: Session, by: AgesQuery["by"]): Group {
  const instance = by === "instance" ? lastPlace.instance : null;
  return { release: lastPlace.release, instance, label, open: new Sample(), lingering: new Sample(), jobs: 0 };
}

function answerOf({ release, instance, label, open, lingering, jobs }: Group): AgeGroup {
  return { release, instance, label, open: open.bins(), jobs, lingering: lingering.bins() };
}
