import { startHoldover, type HoldoverRow } from "./holdover-row.ts";
import { startLoad, type Load } from "./load.ts";
import { startPeers } from "./peers.ts";
import type { Row, Skipped } from "./row.ts";

/** Everything that runs while rows are compared. */
export interface Stage {
  readonly holdover: HoldoverRow;
  /** In the order in which they take their turns. */
  readonly rows: readonly Row[];
  readonly skipped: readonly Skipped[];
  readonly load: Load;
  stop(): Promise<void>;
}

/** How much is measured. */
export interface Extent {
  readonly rounds: number;
  /** No further round begins after this (performance.now): a busy machine costs rounds, not minutes. */
  readonly roundsUntilMs: number;
  /** Measured part of a turn, ms. */
  readonly windowMs: number;
  readonly idleConnections: number;
  readonly pins: number;
  readonly tableChanges: number;
}

export type Say = (text: string) => void;

/** One instance, and each of the rows in front of it. @param env for the processes of Holdover */
export async function setUp(env: Readonly<Record<string, string>> = {}): Promise<Stage> {
  const undo: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const step of undo.toReversed()) await step();
  };
  try {
    const holdover = await startHoldover(env);
    undo.push(() => holdover.stop());
    const peers = await startPeers(holdover.instancePort);
    const running = peers.filter((peer) => "port" in peer);
    for (const peer of running) undo.push(() => peer.stop());
    const load = startLoad();
    undo.push(() => load.stop());
    const direct: Row = {
      name: "direct",
      title: "without a proxy",
      port: holdover.instancePort,
      pids: [],
      stop: async () => {},
    };
    return {
      holdover,
      rows: [direct, holdover, ...running],
      skipped: peers.filter((peer) => "why" in peer),
      load,
      stop,
    };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/**
 * Lets the rows take turns, A B C A B C …: what disturbs the machine for a while then disturbs all of them.
 * @param turn measures one row once
 */
export async function alternate<Result>(
  rows: readonly Row[],
  { rounds, roundsUntilMs }: Pick<Extent, "rounds" | "roundsUntilMs">,
  turn: (row: Row, round: number) => Promise<Result>,
): Promise<Map<Row["name"], Result[]>> {
  const results = new Map<Row["name"], Result[]>(rows.map((row) => [row.name, []]));
  for (let round = 1; round <= rounds; round++) {
    if (round > 1 && performance.now() > roundsUntilMs) break;
    for (const row of rows) results.get(row.name)?.push(await turn(row, round));
  }
  return results;
}

/** One number of each result, for the rows that have one. */
export function figures<Result>(
  results: ReadonlyMap<Row["name"], readonly Result[]>,
  of: (result: Result) => number,
  rows: readonly Row["name"][] = ["direct", "holdover", "haproxy", "nginx"],
): Map<Row["name"], number[]> {
  return new Map([...results].filter(([name]) => rows.includes(name)).map(([name, all]) => [name, all.map(of)]));
}

/** Those whose own CPU can be told. */
export const PROXIES: readonly Row["name"][] = ["holdover", "haproxy", "nginx"];
