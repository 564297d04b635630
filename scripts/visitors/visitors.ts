import { connect, type Connection } from "@holdover/client";
import { planRoom, type Stay } from "./room-plan.ts";

/** While fewer rooms than this are open, the next follows after {@link FILL_MS}. */
const FEWEST_ROOMS = 5;
const FILL_MS = 400;
/** With this many no other is opened. */
export const MOST_ROOMS = 25;
/** Otherwise a room is opened this often on average, ms, at random moments: about a dozen are open at a time. */
const ROOM_EVERY_MS = 4000;
/** Everybody says something this often, ms: the shortest pause, and what is added at random. */
const SILENT_MS = 2000;
const SILENT_LONGER_MS = 5000;
/** A service that does not answer is tried again at growing intervals up to this, ms. */
const MOST_WAIT_MS = 10_000;

/** Simulated people in the chat rooms of `examples/rooms`: real WebSocket clients, by the front door like everybody. */
export interface Visitors {
  /** Whether they come; false after {@link Visitors.leave}. */
  readonly coming: boolean;
  rooms(): number;
  /** Those who are connected now. */
  connected(): number;
  come(): void;
  /** All hang up by themselves, at once, and nobody comes any more. */
  leave(): void;
}

/**
 * Nobody comes before {@link Visitors.come}.
 * @param url where clients connect
 */
export function createVisitors(url: string, random: () => number = Math.random): Visitors {
  const rooms = new Set<Room>();
  let opened = 0;
  let visitors = 0;
  let next: NodeJS.Timeout | undefined;

  const openNext = (): void => {
    next = setTimeout(openNext, rooms.size < FEWEST_ROOMS ? FILL_MS : -Math.log(1 - random()) * ROOM_EVERY_MS);
    if (rooms.size >= MOST_ROOMS) return;
    const plan = planRoom(random);
    const names = plan.visitors.map(() => `visitor-${++visitors}`);
    const room = openRoom(`sample-${++opened}`, url, random);
    rooms.add(room);
    for (const [index, stays] of plan.visitors.entries()) {
      for (const stay of stays) room.expect(names[index] ?? "", stay);
    }
    room.endAfter(plan.lengthMs, () => rooms.delete(room));
  };

  return {
    get coming() {
      return next !== undefined;
    },
    rooms: () => rooms.size,
    connected: () => [...rooms].reduce((sum, room) => sum + room.connected(), 0),
    come() {
      if (next === undefined) openNext();
    },
    leave() {
      clearTimeout(next);
      next = undefined;
      for (const room of rooms) room.end();
      rooms.clear();
    },
  };
}

interface Room {
  /** Has somebody come and go at the times of a stay. */
  expect(name: string, stay: Stay): void;
  endAfter(ms: number, ended: () => void): void;
  end(): void;
  connected(): number;
}

function openRoom(name: string, url: string, random: () => number): Room {
  const timers = new Set<NodeJS.Timeout>();
  const there = new Set<Connection>();
  const after = (ms: number, act: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, ms);
    timers.add(timer);
  };

  const enter = (visitor: string): (() => void) => {
    const target = new URL(url);
    target.searchParams.set("name", visitor);
    const session = { query: "room", key: name };
    const connection = connect(target, { session, numbered: false, baseMs: 500, capMs: MOST_WAIT_MS });
    there.add(connection);
    let release: string | undefined;
    connection.on("message", (text) => (release = releaseIn(text) ?? release));
    connection.on("close", () => there.delete(connection));
    const talk = (): void => {
      if (!there.has(connection)) return;
      if (connection.state === "open" && release !== undefined) {
        connection.send(JSON.stringify({ text: sentence(release, random) }));
      }
      after(SILENT_MS + SILENT_LONGER_MS * random(), talk);
    };
    after(SILENT_MS * random(), talk);
    return () => connection.close();
  };

  const end = (): void => {
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
    for (const connection of there) connection.close();
  };
  return {
    expect(visitor, { fromMs, untilMs }) {
      after(fromMs, () => after(untilMs - fromMs, enter(visitor)));
    },
    endAfter(ms, ended) {
      after(ms, () => {
        end();
        ended();
      });
    },
    end,
    connected: () => [...there].filter(({ state }) => state === "open").length,
  };
}

/** The release that the service says it is, in its first message; undefined in all others, and where it is another service. */
function releaseIn(text: string): string | undefined {
  try {
    const { type, release } = JSON.parse(text) as { type?: unknown; release?: unknown };
    return type === "welcome" && typeof release === "string" ? release : undefined;
  } catch {
    return undefined;
  }
}

function sentence(release: string, random: () => number): string {
  const sentences = [
    `I am simulated, and this room is on ${release}.`,
    `Still on ${release}.`,
    "Can everybody hear me?",
    "Yes, go on.",
    "Say that again, please.",
    "I have to go soon.",
  ];
  return sentences[Math.floor(random() * sentences.length)] ?? "";
}
