import type { Agent } from "node:http";
import type { Socket } from "node:net";
import { HoldoverError, problemOf, type LatencyCounts } from "@holdover/core";
import type { EndHow, Hold, SessionHolder } from "./hold.ts";
import type { Waits } from "./waits.ts";

/** One request (or upgrade) of a client and all that comes of it. */
export interface Exchange {
  /** The client's connection has closed. */
  clientGone(): void;
  /** Destroys what is left of it at once. */
  destroy(): void;
}

/** What every exchange of a front works with. */
export interface Forwarding {
  readonly holder: SessionHolder;
  readonly agent: Agent;
  readonly waits: Waits;
  readonly trustForwarded: boolean;
  /** Clients are to close their connections when they have their answer. */
  readonly stopping: () => boolean;
  /** What this router adds, for sessions that had their place and for those that were given one first. */
  readonly added: { readonly known: LatencyCounts; readonly placed: LatencyCounts };
}

/** Where the time that this router adds is counted. */
export function addedBy({ added }: Pick<Forwarding, "added">, hold: Hold): LatencyCounts {
  return hold.placed ? added.placed : added.known;
}

/** A connection to the instance failed, or what came over it. */
export function instanceFailed(cause: unknown): HoldoverError {
  return new HoldoverError("INSTANCE_UNREACHABLE", { problem: problemOf(cause) }, { cause });
}

/**
 * Tells the session's holder of a connection that failed, where the instance itself may be the cause. Resolves with whether
 * it has died.
 */
export async function hasDied(holder: SessionHolder, instance: string, cause: unknown): Promise<boolean> {
  const code = codeOf(cause);
  if (code !== "ECONNREFUSED" && code !== "ECONNRESET" && code !== "EPIPE") return false;
  return holder.unreachable(instance);
}

/** Whether the instance has surely not seen what was to be sent over a connection that failed. */
export function isUnseen(cause: unknown): boolean {
  return codeOf(cause) === "ECONNREFUSED";
}

/** The session ended while its instance had not answered yet. */
export function endedMeanwhile(how: EndHow): HoldoverError {
  const what = how === "lost" ? "it died" : `its session was ${how}`;
  return new HoldoverError("INSTANCE_UNREACHABLE", { problem: `${what} before there was an answer` });
}

/** Bytes that have passed a client's connection. Apart from the exchange, of which it is to keep nothing else alive. */
export function bytesOn(socket: Socket): () => number {
  return () => socket.bytesRead + socket.bytesWritten;
}

export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : undefined;
}
