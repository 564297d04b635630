import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import {
  givenRequestId,
  isRequestIdField,
  pathWithoutKey,
  requestIdFields,
  requestIds,
  type HoldoverError,
  type RoutedService,
} from "@holdover/core";
import type { Hold } from "./hold.ts";
import type { RequestHead } from "./request-head.ts";
import type { RequestLog } from "./request-log.ts";
import type { RequestTrace, Tracing } from "./tracing.ts";

/** An id that begins so is this process's. */
const newRequestId = requestIds(randomBytes(6).toString("hex"));

export interface RequestRecordsOptions {
  /** Left out: nothing is written. */
  readonly log?: RequestLog;
  /** Every answer is logged, and not only those that the router gives itself. */
  readonly accessLog: boolean;
  readonly tracing: Tracing | null;
  /** How often the router answered by itself, by code. */
  readonly refused: Map<string, number>;
}

/** What is kept of one request for those who run this: its name, and what to count, to log and to trace of it. */
export class RequestRecord {
  readonly id: string;
  /** When its head had been read and its turn had come, by `performance.now()`. */
  readonly begunAtMs = performance.now();
  readonly #options: RequestRecordsOptions;
  #head: RequestHead | null = null;
  #service: RoutedService | null = null;
  #trace: RequestTrace | null = null;
  #hold: Hold | null = null;
  #isPlacing = false;
  #isOver = false;

  /** @param raw the fields of the request, names and values in turn; null for what is none */
  constructor(options: RequestRecordsOptions, raw: readonly string[] | null) {
    this.#options = options;
    this.id = (raw && givenRequestId(raw)) ?? newRequestId();
  }

  /** It is known which service it is for. */
  routed(request: IncomingMessage, head: RequestHead, service: RoutedService, secure: boolean): void {
    this.#head = head;
    this.#service = service;
    this.#trace = this.#options.tracing?.begin(request, head, service, secure) ?? null;
  }

  /** Its session is being found, or given a place. */
  placing(): void {
    this.#isPlacing = true;
    this.#trace?.placing();
  }

  held(hold: Hold): void {
    this.#isPlacing = false;
    this.#hold = hold;
    this.#trace?.held(hold);
  }

  /** What the instance is told of the request: names and values in turn. */
  fields(): string[] {
    const own = requestIdFields(this.id);
    return this.#trace ? [...own, ...this.#trace.fields] : own;
  }

  /** Whether one of {@link fields} takes the place of a field of the client. @param name in lower case */
  replaces(name: string): boolean {
    return isRequestIdField(name) || this.#trace?.replaces(name) === true;
  }

  /** The router answers by itself. */
  refused(error: HoldoverError): void {
    const { refused, log } = this.#options;
    refused.set(error.code, (refused.get(error.code) ?? 0) + 1);
    this.#trace?.refused(error, this.#isPlacing);
    if (log?.hasRoom()) log.write("refused", { ...this.#facts(log), code: error.code, what: error.message });
  }

  /**
   * It is over, or from here on lasts as a tunnel or a stream of events does. The second call does nothing.
   * @param status what the client was answered; null: it has gone before that
   */
  over(status: number | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#trace?.over(status);
    const { log, accessLog } = this.#options;
    if (!accessLog || !log?.hasRoom()) return;
    log.write("answered", {
      ...this.#facts(log),
      method: this.#head?.method,
      path: this.#head && this.#service ? pathWithoutKey(this.#service.key, this.#head.path) : undefined,
      status: status ?? undefined,
      ms: Math.round((performance.now() - this.begunAtMs) * 1000) / 1000,
    });
  }

  #facts(log: RequestLog) {
    const hold = this.#hold;
    return {
      request: this.id,
      trace: this.#trace?.id,
      service: this.#service?.name,
      release: hold?.release,
      instance: hold?.instance,
      session: hold ? log.sessionName(hold.key) : undefined,
    };
  }
}
