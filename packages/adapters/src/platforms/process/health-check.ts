import { request } from "node:http";
import { connect } from "node:net";
import type { Clock } from "@holdover/core";
import { INSTANCE_HOST } from "./ports.ts";

/** What one check of an instance found. */
export type Answer =
  /** A TCP connection came about; no more was asked. */
  | { readonly kind: "connected" }
  | { readonly kind: "status"; readonly status: number }
  /** Bytes came back that are no HTTP/1.1. */
  | { readonly kind: "garbled" }
  /** The connection was taken and closed again without an answer. */
  | { readonly kind: "reset" }
  | { readonly kind: "refused" }
  | { readonly kind: "timeout" }
  /** The check itself failed, for want of file descriptors or ports, or was given up: nothing follows from it. */
  | { readonly kind: "unknown"; readonly problem: string };

export interface CheckTarget {
  readonly port: number;
  /** An HTTP path; undefined: a connection is enough. */
  readonly path?: string | undefined;
  readonly timeoutMs: number;
}

/** Good enough to be given traffic for the first time. */
export function isHealthy(answer: Answer): boolean {
  if (answer.kind === "status") return answer.status >= 200 && answer.status < 400;
  return answer.kind === "connected";
}

/**
 * No sign of life. Any answer is one, a 500 as well, and so is a connection that is taken and closed: a program at its
 * limit of connections does that, and to end it would cut every session it holds.
 */
export function isSilent(answer: Answer): boolean {
  return answer.kind === "refused" || answer.kind === "timeout";
}

/** Checks once. Never rejects; takes at most the target's timeout. */
export function checkHealth(target: CheckTarget, clock: Clock, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    let settled = false;
    const settle = (answer: Answer): void => {
      if (settled) return;
      settled = true;
      cancelTimeout();
      signal.removeEventListener("abort", giveUp);
      attempt.destroy();
      resolve(answer);
    };
    const giveUp = (): void => settle({ kind: "unknown", problem: "the check was given up" });
    // A host that was busy (or asleep) finds timers due before it has read its sockets: those come first.
    const cancelTimeout = clock.after(target.timeoutMs, () => setImmediate(() => settle({ kind: "timeout" })));
    const attempt = target.path === undefined ? tryTcp(target.port, settle) : tryHttp(target, target.path, settle);
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
  });
}

type Settle = (answer: Answer) => void;

function tryTcp(port: number, settle: Settle): { destroy(): void } {
  return connect({ host: INSTANCE_HOST, port })
    .on("connect", () => settle({ kind: "connected" }))
    .on("error", (error) => settle(answerOf(error)));
}

function tryHttp(target: CheckTarget, path: string, settle: Settle): { destroy(): void } {
  // No agent: a connection kept for the next check would say nothing of whether new ones are taken.
  return request({ host: INSTANCE_HOST, port: target.port, path, agent: false, headers: { "user-agent": "holdover" } })
    .on("response", (response) => {
      response.on("error", () => undefined);
      settle({ kind: "status", status: response.statusCode ?? 0 });
    })
    .on("upgrade", (response) => settle({ kind: "status", status: response.statusCode ?? 0 }))
    .on("error", (error) => settle(answerOf(error)))
    .end();
}

function answerOf(error: NodeJS.ErrnoException): Answer {
  const code = error.code ?? "";
  if (code === "ECONNREFUSED") return { kind: "refused" };
  if (code === "ECONNRESET" || code === "EPIPE") return { kind: "reset" };
  if (code === "ETIMEDOUT") return { kind: "timeout" };
  if (code.startsWith("HPE_")) return { kind: "garbled" };
  return { kind: "unknown", problem: error.message };
}

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener("abort", done, { once: true });
  });
}
