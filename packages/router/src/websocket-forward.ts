import { request as startRequest, ServerResponse, type ClientRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { asHoldoverError, REQUEST_FIELD, type HoldoverError } from "@holdover/core";
import { answerOnSocket } from "./answer.ts";
import { endToEndFields, tokensOf, valuesOf } from "./end-to-end-fields.ts";
import {
  addedBy,
  bytesOn,
  endedMeanwhile,
  hasDied,
  instanceFailed,
  isUnseen,
  type Exchange,
  type Forwarding,
} from "./exchange.ts";
import type { EndHow, HeldConnection, Hold } from "./hold.ts";
import { boundConnecting } from "./http-forward.ts";
import { instanceFields, type RoutedRequest } from "./instance-request.ts";
import { ANSWER_HEAD_BYTES, framingProblem, passAnswer, passInterim, type PassedAnswer } from "./pass-answer.ts";
import { softClose } from "./soft-close.ts";
import { isIdempotent, Tries } from "./tries.ts";
import { openTunnel } from "./tunnel.ts";

/**
 * What a client may send before its upgrade was answered, bytes. A WebSocket client has to wait and sends nothing; it
 * is read only to notice that a client has gone.
 */
const EARLY_BYTES = 65_536;
/** When TCP asks a silent peer whether it is still there, ms: often enough to keep a NAT's mapping of 60 s alive. */
export const TCP_KEEP_ALIVE_MS = 30_000;

export interface UpgradeRequest extends RoutedRequest {
  readonly socket: Socket;
  /** What came behind the head of the request. */
  readonly early: Buffer;
  /** Joins the session named by key or cookie, or one that is this connection itself. */
  readonly place: (connection: HeldConnection) => Promise<Hold>;
}

interface Asked {
  readonly hold: Hold;
  readonly upstream: ClientRequest;
}

type State =
  | { readonly name: "placing" }
  | ({ readonly name: "asking" } & Asked)
  /** The connection to the instance has failed, and it is found out whether it has died. */
  | { readonly name: "suspecting"; readonly hold: Hold }
  /** The instance did not upgrade; its answer is on its way. */
  | { readonly name: "answering"; readonly hold: Hold; readonly upstream: ClientRequest; readonly answer: PassedAnswer }
  /** The tunnel has taken over. */
  | { readonly name: "tunnelling" }
  | { readonly name: "refused" }
  | { readonly name: "over" };

/**
 * Forwards an upgrade of HTTP/1.1, a WebSocket's or any other, and joins the two connections when the instance agrees.
 * An instance that does not agree has its answer passed on whole, and the client's connection is closed after it.
 *
 * When its instance dies before it has agreed, the session is placed anew and another one is asked; see tries.ts for how
 * often. When its session is ended on purpose before that, the client is answered 502 and can come again; for what comes
 * after that, see tunnel.ts.
 *
 * @param over called once, when nothing of it is left and the hold has been given back
 */
export function forwardUpgrade(deps: Forwarding, asked: UpgradeRequest, over: () => void): Exchange {
  const { request, socket, head, record } = asked;
  const { holder, waits } = deps;
  let state: State = { name: "placing" };
  let endedHow: EndHow | null = null;
  let firstAsk = true;
  /** What the client was answered; null: nothing yet. */
  let status: number | null = null;
  const tries = new Tries(isIdempotent(head.method));
  const early = asked.early.length > 0 ? [asked.early] : [];
  let earlyBytes = asked.early.length;

  const onEarly = (chunk: Buffer) => {
    early.push(chunk);
    earlyBytes += chunk.length;
    if (earlyBytes > EARLY_BYTES) socket.pause();
  };
  // Before it has its answer, a client that ends its side has given up.
  const onEarlyEnd = () => socket.destroy();
  socket.on("data", onEarly);
  socket.on("end", onEarlyEnd);
  const earlyIsOver = () => {
    socket.off("data", onEarly);
    socket.off("end", onEarlyEnd);
  };

  const held = { end, bytes: bytesOn(socket) };
  const destroy = (): void => {
    socket.destroy();
  };
  const exchange = { clientGone, destroy };
  place();

  function place(): void {
    tries.placing();
    record.placing();
    asked.place(held).then(
      (hold) => {
        record.held(hold);
        if (state.name === "placing" && !endedHow) {
          ask(hold);
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

  function ask(hold: Hold): void {
    const upgrade = valuesOf(request.rawHeaders, "upgrade").join(", ");
    let upstream: ClientRequest;
    try {
      upstream = startRequest({
        method: head.method,
        path: head.target,
        headers: [...instanceFields(asked, hold, deps.trustForwarded, ["Upgrade"]), "Upgrade", upgrade],
        setDefaultHeaders: false,
        maxHeaderSize: ANSWER_HEAD_BYTES,
        insecureHTTPParser: false,
        createConnection: () =>
          connect({
            host: hold.host,
            port: hold.port,
            noDelay: true,
            keepAlive: true,
            keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
            allowHalfOpen: true,
          }),
      });
    } catch (thrown) {
      hold.done();
      refuse(asHoldoverError(thrown));
      return;
    }
    state = { name: "asking", hold, upstream };
    upstream.maxHeadersCount = 0;
    boundConnecting(upstream, waits.connectMs, firstAsk ? addedBy(deps, hold) : null, record.begunAtMs);
    firstAsk = false;
    upstream.on("information", (interim) => {
      if (state.name === "asking") passInterim(interim, "1.1", socket);
    });
    upstream.on("upgrade", (answer, instance, first) => onUpgrade({ hold, upstream }, answer, instance, first));
    upstream.on("response", (answer) => onAnswer(hold, upstream, answer));
    upstream.on("error", (cause) => failed(hold, upstream, cause));
    upstream.on("close", () => failed(hold, upstream, new Error("it closed the connection without an answer")));
    upstream.end();
  }

  /** The connection has failed before there was an answer. */
  function failed(hold: Hold, upstream: ClientRequest, cause: Error): void {
    if (state.name !== "asking" || state.upstream !== upstream) return;
    const looked = hasDied(holder, hold.instance, cause);
    if (!tries.take(!isUnseen(cause))) {
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
    state = { name: "placing" };
    endedHow = null;
    place();
  }

  function onUpgrade({ hold, upstream }: Asked, answer: IncomingMessage, instance: Socket, fromInstance: Buffer): void {
    instance.on("error", nothing);
    if (state.name !== "asking" || state.upstream !== upstream) {
      instance.destroy();
      return;
    }
    earlyIsOver();
    const fields = endToEndFields(answer.rawHeaders, (name) => name === "holdover-request");
    fields.push("Upgrade", valuesOf(answer.rawHeaders, "upgrade").join(", "), "Connection", "Upgrade");
    fields.push(REQUEST_FIELD, record.id);
    const lines = [`HTTP/1.1 101 ${answer.statusMessage}`];
    for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
    socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    const webSocket = tokensOf(answer.rawHeaders, "upgrade").includes("websocket");
    const ends = { client: socket, instance, fromClient: Buffer.concat(early), fromInstance };
    state = { name: "tunnelling" };
    hold.lasts();
    record.over(101);
    const tunnel = openTunnel(ends, webSocket, waits, tunnelOver(hold, over));
    // From here on nothing refers to this function's scope: both heads would be kept for as long as the tunnel lasts.
    held.end = tunnel.end;
    exchange.destroy = tunnel.destroy;
    // The tunnel sees by itself that the client has gone, and lets the instance get to its end.
    exchange.clientGone = nothing;
    socket.resume();
    instance.resume();
  }

  function onAnswer(hold: Hold, upstream: ClientRequest, incoming: IncomingMessage): void {
    incoming.on("error", () => {});
    const problem = framingProblem(incoming);
    const expected = state.name === "asking" && state.upstream === upstream;
    if (problem && expected) refuse(instanceFailed(new Error(problem)));
    if (problem || !expected) {
      incoming.destroy();
      return;
    }
    earlyIsOver();
    socket.resume();
    const response = new ServerResponse(request);
    response.on("error", () => {});
    response.assignSocket(socket);
    // The server, which does this otherwise, has let go of the socket.
    const onDrain = () => response.emit("drain");
    socket.on("drain", onDrain);
    response.on("finish", () => {
      upstream.destroy();
      socket.off("drain", onDrain);
      response.detachSocket(socket);
      softClose(socket, waits.closeMs);
    });
    try {
      state = {
        name: "answering",
        hold,
        upstream,
        answer: passAnswer(incoming, response, { id: record.id, close: true, extra: [] }),
      };
      status = incoming.statusCode ?? null;
    } catch (thrown) {
      response.detachSocket(socket);
      refuse(instanceFailed(thrown));
    }
  }

  function end(how: EndHow): void {
    if (endedHow) return;
    endedHow = how;
    switch (state.name) {
      case "asking": {
        const { hold, upstream } = state;
        if (how !== "lost" || !tries.take(true)) refuse(endedMeanwhile(how));
        else {
          askElsewhere(hold);
          upstream.destroy();
        }
        return;
      }
      case "answering":
        state.answer.breakOff();
        socket.destroy();
        return;
      case "placing":
      case "suspecting":
      case "tunnelling":
      case "refused":
      case "over":
    }
  }

  function refuse(error: HoldoverError): void {
    const last = state;
    state = { name: "refused" };
    if (last.name === "asking") last.upstream.destroy();
    if (last.name === "asking" || last.name === "suspecting") last.hold.done();
    earlyIsOver();
    record.refused(error);
    status = error.status;
    answerOnSocket(socket, error, record.id, waits.closeMs, request.method);
  }

  function finish(): void {
    if (state.name === "over") return;
    const last = state;
    state = { name: "over" };
    if ("hold" in last) last.hold.done();
    record.over(status);
    over();
  }

  function clientGone(): void {
    if (state.name === "asking" || state.name === "answering") state.upstream.destroy();
    finish();
  }

  return exchange;
}

function tunnelOver(hold: Hold, over: () => void): () => void {
  return () => {
    hold.done();
    over();
  };
}

/** A listener that keeps no scope alive. */
const nothing = (): void => {};
