import {
  request as startRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from "node:http";
import { connect } from "node:net";
import { asHoldoverError, type HoldoverError, type LatencyCounts } from "@holdover/core";
import { answerError } from "./answer.ts";
import { trailerFields } from "./end-to-end-fields.ts";
import {
  addedBy,
  bytesOn,
  codeOf,
  endedMeanwhile,
  hasDied,
  instanceFailed,
  isUnseen,
  type Exchange,
  type Forwarding,
} from "./exchange.ts";
import type { EndHow, Hold, LabelReader } from "./hold.ts";
import { instanceFields, type RoutedRequest } from "./instance-request.ts";
import { ANSWER_HEAD_BYTES, framingProblem, passAnswer, passInterim, type PassedAnswer } from "./pass-answer.ts";
import { isIdempotent, Tries } from "./tries.ts";

export interface HttpRequest extends RoutedRequest {
  readonly response: ServerResponse;
  readonly key: string;
  readonly label: LabelReader;
  /** A new keyless session's cookie; null where the client has named its session. */
  readonly setCookie: string | null;
}

/**
 * `asking`: the instance has it and has not answered. `suspecting`: the connection to it has failed, and it is found out
 * whether it has died. `answering`: its answer is on its way. `refused`: ours is.
 */
type State =
  | { readonly name: "placing" }
  | { readonly name: "asking"; readonly hold: Hold; readonly upstream: ClientRequest }
  | { readonly name: "suspecting"; readonly hold: Hold }
  | {
      readonly name: "answering";
      readonly hold: Hold;
      readonly upstream: ClientRequest;
      readonly answer: PassedAnswer;
      readonly events: boolean;
    }
  | { readonly name: "refused" }
  | { readonly name: "over" };

/**
 * Forwards one request to the place of its session and the answer back, both as streams.
 *
 * When its instance dies before it answers, the session is placed anew and another one is asked; see tries.ts for how
 * often. Of a body nothing may have been sent by then.
 *
 * When its session is ended otherwise: a request without an answer yet is answered 502 at once, except on a move, where it
 * may still be answered for `finishMs`. An answer under way is broken off, visibly, except that a stream of events is ended
 * properly but where its instance is lost (an EventSource then connects again, and no other answer lasts by design), and that
 * any other is given `finishMs` on a move: it is short work that nobody gains by repeating.
 *
 * @param over called once, when nothing of it is left and the hold has been given back
 */
export function forwardHttp(deps: Forwarding, asked: HttpRequest, over: () => void): Exchange {
  const { request, response, head, service, key, label, record } = asked;
  const { holder, waits } = deps;
  let state: State = { name: "placing" };
  let endedHow: EndHow | null = null;
  let uploaded = head.body === "none";
  let answered = false;
  let timer: NodeJS.Timeout | undefined;
  /** Whether the instance has told something already, in an interim answer. */
  let heard = false;
  let firstAsk = true;
  /** The status of our own answer. */
  let refusedWith: number | null = null;
  const tries = new Tries(head.body === "none" && isIdempotent(head.method));

  // A failure of the client's connection is told by `clientGone`; without listeners it would end the process.
  request.on("error", () => {});
  response.on("error", () => {});
  response.on("close", () => {
    if (!response.writableFinished) return clientGone();
    answered = true;
    if (uploaded || state.name === "refused") finish();
  });

  place();

  function place(): void {
    tries.placing();
    record.placing();
    holder.hold(service, key, { end, bytes: bytesOn(request.socket) }, label).then(
      (hold) => {
        record.held(hold);
        if (state.name === "placing" && !endedHow) {
          ask(hold, null);
          return;
        }
        hold.done();
        if (state.name !== "placing" || !endedHow) return;
        // Its session has ended before anything was sent: nobody is harmed by placing it again.
        if (!tries.take(false)) refuse(endedMeanwhile(endedHow));
        else {
          endedHow = null;
          place();
        }
      },
      (thrown: unknown) => {
        if (state.name === "placing") refuse(asHoldoverError(thrown));
      },
    );
  }

  function ask(hold: Hold, repeatOf: ClientRequest | null): void {
    const fresh = repeatOf !== null;
    const options: RequestOptions = {
      host: hold.host,
      port: hold.port,
      method: head.method,
      path: head.target,
      headers: instanceFields(asked, hold, deps.trustForwarded, [fresh ? "close" : "keep-alive"]),
      // Every field is ours to set: node's own framing would differ from the client's.
      setDefaultHeaders: false,
      maxHeaderSize: ANSWER_HEAD_BYTES,
      insecureHTTPParser: false,
      ...(fresh
        ? { createConnection: () => connect({ host: hold.host, port: hold.port, noDelay: true }) }
        : { agent: deps.agent }),
    };
    let upstream: ClientRequest;
    try {
      upstream = startRequest(options);
    } catch (thrown) {
      if (state.name === "placing") hold.done();
      refuse(asHoldoverError(thrown));
      return;
    }
    // Its default would drop what is above 2000 fields without a word; the head's size is the bound.
    upstream.maxHeadersCount = 0;
    state = { name: "asking", hold, upstream };
    heard = false;
    boundConnecting(upstream, waits.connectMs, firstAsk ? addedBy(deps, hold) : null, record.begunAtMs);
    firstAsk = false;
    upstream.on("information", (interim) => {
      heard = true;
      if (state.name !== "asking") return;
      // By node's own means: it closes the connection after an answer before which no 100 was sent, since nobody knows
      // whether the body that was announced still comes.
      if (interim.statusCode === 100 && request.httpVersion === "1.1") response.writeContinue();
      else passInterim(interim, request.httpVersion, response.socket);
    });
    upstream.on("response", (answer) => onAnswer(hold, upstream, answer));
    upstream.on("error", (cause) => {
      if (state.name === "answering") stopUpload();
      if (state.name !== "asking" || state.upstream !== upstream) return;
      // An idle connection may be closed by the instance in the very moment in which we use it again. Then it has not
      // seen this request, but that cannot be known: so only what does no harm twice is sent again, and only once.
      const stale = upstream.reusedSocket && !heard && (codeOf(cause) === "ECONNRESET" || codeOf(cause) === "EPIPE");
      if (stale && head.body === "none" && isIdempotent(head.method)) ask(hold, upstream);
      else failed(hold, cause);
    });
    upstream.on("close", () => {
      if (state.name === "answering") stopUpload();
      if (state.name !== "asking" || state.upstream !== upstream) return;
      failed(hold, new Error("it closed the connection without an answer"));
    });
    if (head.body === "none") upstream.end();
    else {
      // Not before there is a connection: a body that was begun cannot be sent again.
      upstream.once("socket", (socket) => {
        if (socket.connecting) socket.once("connect", () => upload(upstream));
        else upload(upstream);
      });
    }
  }

  /** The connection has failed before there was an answer. */
  function failed(hold: Hold, cause: Error): void {
    const looked = hasDied(holder, hold.instance, cause);
    if (heard || !tries.take(!isUnseen(cause))) {
      refuse(instanceFailed(cause));
      return;
    }
    state = { name: "suspecting", hold };
    void looked.then((died) => {
      if (state.name !== "suspecting") return;
      if (died) askElsewhere(hold);
      else refuse(endedHow ? endedMeanwhile(endedHow) : instanceFailed(cause));
    });
  }

  /** Its instance has died, and its session with it has no place any more. */
  function askElsewhere(hold: Hold): void {
    hold.done();
    clearTimeout(timer);
    timer = undefined;
    state = { name: "placing" };
    endedHow = null;
    place();
  }

  function upload(upstream: ClientRequest): void {
    // A client may wait for the answer's head before it sends its first byte, so ours must not wait for that. A body
    // that is here already goes with it in one packet.
    const flush = setImmediate(() => upstream.flushHeaders());
    request.once("data", () => clearImmediate(flush));
    upstream.once("close", () => clearImmediate(flush));
    request.pipe(upstream, { end: false });
    request.on("end", () => {
      const trailers = trailerFields(request.rawTrailers);
      if (trailers.length > 0 && head.body === "chunked") upstream.addTrailers(trailers);
      upstream.end();
      uploaded = true;
      if (answered) finish();
    });
  }

  /** The instance takes no more of the body. The rest is read and thrown away, for a bounded time: see softClose. */
  function stopUpload(): void {
    if (uploaded) return;
    uploaded = true;
    request.unpipe();
    request.resume();
    const { socket } = request;
    const linger = setTimeout(() => {
      if (!request.complete) socket.destroy();
    }, waits.closeMs);
    linger.unref();
    socket.once("close", () => clearTimeout(linger));
    request.once("end", () => clearTimeout(linger));
    if (answered) finish();
  }

  function onAnswer(hold: Hold, upstream: ClientRequest, incoming: IncomingMessage): void {
    incoming.on("error", () => {});
    if (state.name !== "asking" || state.upstream !== upstream) {
      incoming.destroy();
      return;
    }
    const problem = framingProblem(incoming);
    if (problem) {
      refuse(instanceFailed(new Error(problem)));
      return;
    }
    const events = /^\s*text\/event-stream\b/i.test(incoming.headers["content-type"] ?? "");
    try {
      const answer = passAnswer(incoming, response, {
        id: record.id,
        close: deps.stopping(),
        extra: asked.setCookie === null ? [] : ["Set-Cookie", asked.setCookie],
      });
      state = { name: "answering", hold, upstream, answer, events };
    } catch (thrown) {
      refuse(instanceFailed(thrown));
      return;
    }
    if (!events) return;
    hold.lasts();
    record.over(response.statusCode);
    if (endedHow === "moved") endNow("moved");
  }

  function end(how: EndHow): void {
    if (endedHow) return;
    endedHow = how;
    if (state.name === "placing" || state.name === "suspecting") return;
    if (state.name === "asking" && how !== "moved") {
      const { hold, upstream } = state;
      if (how !== "lost" || heard || !tries.take(true)) refuse(endedMeanwhile(how));
      else {
        askElsewhere(hold);
        upstream.destroy();
      }
    } else endNow(how);
  }

  function endNow(how: EndHow): void {
    if (state.name === "answering" && state.events && how !== "lost") {
      state.answer.endEarly();
      state.upstream.destroy();
    } else if (how !== "moved") {
      if (state.name === "answering") breakOff(state);
      return;
    }
    timer ??= setTimeout(() => {
      if (state.name === "asking") refuse(endedMeanwhile(how));
      else if (state.name === "answering") breakOff(state);
    }, waits.finishMs).unref();
  }

  function breakOff({ answer, upstream }: Extract<State, { name: "answering" }>): void {
    answer.breakOff();
    upstream.destroy();
    // The instance's part may be done while the client still reads it, or sends a body that nobody takes any more.
    request.socket.destroy();
  }

  function refuse(error: HoldoverError): void {
    const last = state;
    state = { name: "refused" };
    if (last.name === "asking") {
      request.unpipe(last.upstream);
      last.upstream.destroy();
    }
    if (last.name === "asking" || last.name === "suspecting") last.hold.done();
    clearTimeout(timer);
    record.refused(error);
    refusedWith = error.status;
    answerError(request, response, error, record.id, waits.closeMs);
  }

  function clientGone(): void {
    if (state.name === "asking" || state.name === "answering") state.upstream.destroy();
    finish();
  }

  function finish(): void {
    if (state.name === "over") return;
    const last = state;
    state = { name: "over" };
    clearTimeout(timer);
    if ("hold" in last) last.hold.done();
    record.over(refusedWith ?? (response.headersSent ? response.statusCode : null));
    over();
  }

  return {
    clientGone,
    destroy: () => {
      request.socket.destroy();
      clientGone();
    },
  };
}

/**
 * A connection that is not made in time fails; one that was kept alive has been made already.
 * @param added counts the time since `begunAtMs` when a connection has been chosen; null: it is not counted
 */
export function boundConnecting(
  upstream: ClientRequest,
  connectMs: number,
  added: LatencyCounts | null,
  begunAtMs: number,
): void {
  upstream.on("socket", (socket) => {
    added?.add(performance.now() - begunAtMs);
    if (!socket.connecting) return;
    const timer = setTimeout(() => {
      upstream.destroy(new Error(`it took no connection within ${connectMs} ms`));
    }, connectMs);
    timer.unref();
    // Both go, or a kept connection would hold on to its first request for as long as it lives.
    const clear = () => {
      clearTimeout(timer);
      socket.off("connect", clear);
      socket.off("close", clear);
    };
    socket.once("connect", clear);
    socket.once("close", clear);
  });
}
