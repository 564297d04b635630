import { createConnection, type Socket } from "node:net";
import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import {
  LineReader,
  LINK_LINE_BYTES,
  readFromHost,
  signHello,
  WORKER_PROTOCOL,
  type FromHost,
  type FromWorker,
  type HostCall,
  type SignedText,
  type Signer,
  type VerifySignature,
  type WorkerCall,
  type WorkerHello,
} from "@holdover/core";

export function newKey(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: String(publicKey.export({ format: "jwk" }).x),
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64url"),
  };
}

export const verifyKey: VerifySignature = (publicKey, text, signature) => {
  try {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, "base64url"));
  } catch {
    return false;
  }
};

type Of<Type extends FromHost["type"]> = Extract<FromHost, { readonly type: Type }>;
export type Reply = Of<"reply">;

/** What a worker is from its start on. */
export interface Identity {
  readonly instance: string;
  readonly key: Signer;
  readonly token: string | null;
  certificate: SignedText | null;
  readonly clockMs: () => number;
}

/** Left unanswered. */
export const SILENT = Symbol("silent");

/** A worker link by hand: it says what a test wants, whatever the protocol is. */
export class RawWorker {
  readonly identity: Identity;
  readonly #socket: Socket;
  readonly #unread: FromHost[] = [];
  readonly #waiting: (() => void)[] = [];
  #isClosed = false;
  #lastId = 0;
  /** Host's calls, in order. */
  readonly asked: HostCall[] = [];
  /** Answers host's calls. */
  answer: (call: HostCall) => unknown = () => SILENT;
  /** Resolves when the link has closed. */
  readonly closed: Promise<void>;

  constructor(socketPath: string, identity: Identity) {
    this.identity = identity;
    this.#socket = createConnection(socketPath);
    this.#socket.setEncoding("utf8");
    const reader = new LineReader(LINK_LINE_BYTES);
    this.#socket.on("data", (chunk: string) => {
      for (const line of reader.feed(chunk)) this.#take(readFromHost(line));
    });
    this.#socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.#socket.once("close", () => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** Reads nothing from now on. */
  pause(): void {
    this.#socket.pause();
  }

  write(line: string): void {
    this.#socket.write(line);
  }

  send(message: FromWorker): void {
    this.write(`${JSON.stringify(message)}\n`);
  }

  /** The next message of a type that nobody has taken yet. @throws Error where the link closes before it comes */
  async next<Type extends FromHost["type"]>(
    type: Type,
    fits: (message: Of<Type>) => boolean = () => true,
  ): Promise<Of<Type>> {
    for (;;) {
      const index = this.#unread.findIndex((one) => one.type === type && fits(one as Of<Type>));
      if (index !== -1) return this.#unread.splice(index, 1)[0] as Of<Type>;
      if (this.#isClosed) throw new Error(`the link closed before ${type} came`);
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  async helloTo(challenge: Of<"challenge">, more: Partial<WorkerHello> = {}): Promise<WorkerHello> {
    const { instance, key, token, certificate, clockMs } = this.identity;
    const shown = { token: certificate ? null : token, certificate };
    return {
      type: "hello",
      protocol: WORKER_PROTOCOL,
      ...signHello(challenge, { instance, atMs: clockMs(), ...shown }, key),
      formats: [],
      takesJobs: false,
      ready: true,
      draining: false,
      sessions: [],
      ...more,
    };
  }

  async join(more: Partial<WorkerHello> = {}): Promise<Of<"welcome">> {
    this.send(await this.helloTo(await this.next("challenge"), more));
    const welcome = await this.next("welcome");
    this.identity.certificate = welcome.certificate ?? this.identity.certificate;
    return welcome;
  }

  /** Sends a call without waiting. */
  ask(call: WorkerCall, id: number = this.#lastId + 1): Promise<Reply> {
    this.#lastId = Math.max(this.#lastId, id);
    this.send({ type: "call", id, call });
    return this.next("reply", (reply) => reply.id === id);
  }

  /** The value of the answer. @throws Error with the code of what was answered */
  async call(call: WorkerCall): Promise<unknown> {
    const { value, error } = await this.ask(call);
    if (error) throw new Error(error.code);
    return value;
  }

  async break(): Promise<void> {
    this.#socket.destroy();
    await this.closed;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #take(message: FromHost): void {
    if (message.type === "call") void this.#answer(message.id, message.call);
    this.#unread.push(message);
    this.#wake();
  }

  async #answer(id: number, call: HostCall): Promise<void> {
    this.asked.push(call);
    const value = await this.answer(call);
    if (value !== SILENT) this.send({ type: "reply", id, value });
  }
}
