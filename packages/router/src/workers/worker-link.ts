import type { Socket } from "node:net";
import {
  asHoldoverError,
  callIdIn,
  encodeWorkerMessage,
  errorFromBody,
  HoldoverError,
  LineReader,
  readFromWorker,
  WORKER_CALLS,
  WORKER_LINE_BYTES,
  type Clock,
  type ErrorBody,
  type FromHost,
  type FromWorker,
  type HostCall,
  type WorkerCall,
  type WorkerHello,
} from "@holdover/core";

/** A link that is ended is closed after this, ms, whatever the worker has read by then. */
const END_MS = 1000;
/** Messages that are refused before a link is given up. */
const REFUSALS = 100;
/** Bytes that may wait for a worker that reads nothing: more than the largest table. */
const UNREAD_BYTES = 32 * 1024 * 1024;

/** Who a worker has proved to be. */
export interface Member {
  readonly instance: string;
  readonly service: string;
  readonly release: string;
}

export interface WorkerLinkOptions {
  readonly clock: Clock;
  /** Checks the hello and answers it. What it throws ends the link. */
  readonly welcome: (link: WorkerLink, hello: WorkerHello) => Promise<Member>;
  /** What a worker asks, once it is welcome. What it throws goes back as the answer. */
  readonly handle: (member: Member, call: WorkerCall) => unknown;
  readonly closed: (link: WorkerLink, member: Member | null) => void;
  readonly log: (event: string, detail: Record<string, unknown>) => void;
}

/** One worker's connection. */
export interface WorkerLink {
  isOpen(): boolean;
  send(message: FromHost): void;
  /** @throws HoldoverError LINK_DOWN where the link breaks or no answer comes in time, and what the worker answers */
  readonly call: (call: HostCall, timeoutMs: number) => Promise<unknown>;
  close(): void;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: HoldoverError) => void;
  readonly cancelTimeout: () => void;
}

/**
 * The host's end of one worker link. A message that cannot be read, or that is out of its order, is refused and changes
 * nothing; the link goes on, but for a worker that sends little else.
 */
export function openWorkerLink(socket: Socket, options: WorkerLinkOptions): WorkerLink {
  const { clock, log } = options;
  const waiting = new Map<number, Waiting>();
  let member: Member | null = null;
  let greeted = false;
  let lastOwnId = 0;
  let lastTheirId = 0;
  let underWay = 0;
  let refusals = 0;
  let isEnding = false;

  const send = (message: FromHost): void => {
    if (!socket.writable) return;
    socket.write(encodeWorkerMessage(message));
    if (socket.writableLength > UNREAD_BYTES) {
      log("worker.stuck", { instance: member?.instance ?? null, unread: socket.writableLength });
      socket.destroy();
    }
  };

  /** Nothing more is taken from it. A worker that does not read what it is told last holds nothing for long. */
  const end = (): void => {
    isEnding = true;
    socket.end();
    const cancel = clock.after(END_MS, () => socket.destroy());
    socket.once("close", cancel);
  };

  const refuse = (error: HoldoverError, final: boolean): void => {
    refusals += 1;
    const ends = final || refusals > REFUSALS;
    log("worker.message.refused", { instance: member?.instance ?? null, problem: error.message });
    send({ type: "refused", final: ends, error: error.body() });
    if (ends) end();
  };

  const invalid = (problem: string): HoldoverError => new HoldoverError("LINK_MESSAGE_INVALID", { problem });

  const link: WorkerLink = {
    isOpen: () => socket.writable && !isEnding,
    send,
    call: (call, timeoutMs) =>
      new Promise((resolve, reject) => {
        if (!socket.writable || waiting.size >= WORKER_CALLS) return reject(new HoldoverError("LINK_DOWN"));
        lastOwnId += 1;
        const id = lastOwnId;
        const cancelTimeout = clock.after(timeoutMs, () => {
          waiting.delete(id);
          reject(new HoldoverError("LINK_DOWN"));
        });
        waiting.set(id, { resolve, reject, cancelTimeout });
        send({ type: "call", id, call });
      }),
    close: () => void socket.destroy(),
  };

  const greet = async (hello: WorkerHello): Promise<void> => {
    if (greeted) return refuse(invalid("a second hello"), false);
    greeted = true;
    try {
      member = await options.welcome(link, hello);
    } catch (thrown) {
      refuse(asHoldoverError(thrown), true);
    }
  };

  const answer = async (id: number, call: WorkerCall): Promise<void> => {
    if (!member) return refuse(invalid(`the call ${call.name} before it was welcome`), false);
    if (id <= lastTheirId)
      return refuse(invalid(`call ${id} after call ${lastTheirId}: twice, or out of order`), false);
    lastTheirId = id;
    if (underWay >= WORKER_CALLS) {
      send({ type: "reply", id, error: new HoldoverError("LINK_BUSY", { limit: WORKER_CALLS }).body() });
      return;
    }
    underWay += 1;
    try {
      const value = await options.handle(member, call);
      send({ type: "reply", id, value });
    } catch (thrown) {
      send({ type: "reply", id, error: asHoldoverError(thrown).body() });
    } finally {
      underWay -= 1;
    }
  };

  const take = (message: FromWorker): Promise<void> | void => {
    switch (message.type) {
      case "hello":
        return greet(message);
      case "call":
        return answer(message.id, message.call);
      case "reply": {
        const call = waiting.get(message.id);
        // Too late, or to nothing that was asked: there is nobody whom it would help.
        if (!call) return;
        waiting.delete(message.id);
        call.cancelTimeout();
        if (message.error) call.reject(errorFromBody(message.error as ErrorBody));
        else call.resolve(message.value);
      }
    }
  };

  /** A call that can be told from others has its answer, so that whoever waits for it does not wait in vain. */
  const refuseLine = (line: string, error: HoldoverError): void => {
    const id = callIdIn(line);
    if (!member || id === null || id <= lastTheirId) return refuse(error, false);
    lastTheirId = id;
    log("worker.message.refused", { instance: member.instance, problem: error.message });
    send({ type: "reply", id, error: error.body() });
  };

  const reader = new LineReader(WORKER_LINE_BYTES, () =>
    refuse(invalid(`a line over ${WORKER_LINE_BYTES} bytes`), false),
  );
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    for (const line of reader.feed(chunk)) {
      if (isEnding) return;
      try {
        void take(readFromWorker(line));
      } catch (thrown) {
        refuseLine(line, asHoldoverError(thrown));
      }
    }
  });
  // What broke it is of no use to anybody: `close` follows.
  socket.on("error", () => {});
  socket.once("close", () => {
    for (const { cancelTimeout, reject } of waiting.values()) {
      cancelTimeout();
      reject(new HoldoverError("LINK_DOWN"));
    }
    waiting.clear();
    options.closed(link, member);
  });
  return link;
}
