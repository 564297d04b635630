import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newEd25519Key } from "@holdover/adapters/signers/ed25519";
import {
  LineReader,
  signHello,
  WORKER_PROTOCOL,
  type Challenge,
  type Hello,
  type HelloClaim,
  type SignedText,
  type Signer,
} from "@holdover/core";
import { startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";

/** Echoes on a WebSocket, and tells whoever asks what it was started with. `JOINS`: it joins with the SDK. */
const APP = `
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { joinHoldover } from "@holdover/worker";
const server = createServer((request, response) => response.end(JSON.stringify(process.env)));
new WebSocketServer({ server }).on("connection", (socket) => {
  socket.on("message", (data) => socket.send(process.env.HOLDOVER_INSTANCE + " " + data));
});
if (process.env.JOINS) await joinHoldover({ server });
server.listen(Number(process.env.PORT), process.env.HOST);
`;

const MINUTE_MS = 60_000;
const WAIT = { timeout: 15_000 };

interface Entry {
  readonly kind: string;
  readonly service?: string;
  readonly instance?: string;
  readonly detail?: { readonly reason?: string };
}

/** What a host says to whoever comes to its socket. */
interface Message {
  readonly type: string;
  readonly nonce: string;
  readonly host: string;
  readonly certificate: SignedText | null;
  readonly error?: { readonly code: string; readonly details: { readonly reason?: string } };
}

/** A worker without an SDK, which may say anything. */
interface Visitor {
  readonly instance: string;
  readonly signer: Signer;
  readonly token: string | null;
  readonly certificate: SignedText | null;
}

let cluster: Cluster;
let dir: string;
const endings: (() => void)[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-member-"));
  await writeFile(join(dir, "server.mjs"), APP);
  const service = { dir, release: "v1", command: ["node", "server.mjs"], session: { key: [{ query: "room" }] } };
  cluster = await startCluster({
    services: {
      rooms: { ...service, env: { JOINS: "yes" }, path: "/rooms" },
      // These do not join, so that the test can, as one of them.
      chat: { ...service, path: "/chat", instances: 2 },
    },
  });
  await cluster.until("both are current", ({ services }) => services.every(({ current }) => current === "v1"));
});
afterEach(async () => {
  for (const end of endings.splice(0)) end();
  await cluster.stop();
  await rm(dir, { recursive: true });
});

/** What an instance was started with. */
async function environmentOf(path: string): Promise<Record<string, string>> {
  const [response] = (await once(get(`${cluster.url}${path}`, { agent: false }), "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += String(chunk);
  return JSON.parse(text) as Record<string, string>;
}

async function visitorOf(path: string): Promise<Visitor> {
  const { HOLDOVER_INSTANCE: instance = "", HOLDOVER_JOIN_TOKEN: token = "" } = await environmentOf(path);
  return { instance, token, signer: newEd25519Key().signer, certificate: null };
}

/** Comes to the host with what `helloTo` makes of its challenge. @returns the answer, and the connection */
async function come(helloTo: (challenge: Challenge) => Hello): Promise<{ answer: Message; socket: Socket }> {
  const socket = createConnection(join(cluster.stateDir, "run", "worker.sock")).setEncoding("utf8");
  endings.push(() => socket.destroy());
  const messages = read(socket);
  const { nonce, host } = await next(messages);
  const hello = helloTo({ nonce, host });
  const more = { protocol: WORKER_PROTOCOL, formats: [], takesJobs: false, ready: true, draining: false, sessions: [] };
  socket.write(`${JSON.stringify({ type: "hello", ...hello, ...more })}\n`);
  return { answer: await next(messages), socket };
}

async function* read(socket: Socket): AsyncGenerator<Message> {
  const reader = new LineReader();
  for await (const chunk of socket) for (const line of reader.feed(String(chunk))) yield JSON.parse(line) as Message;
}

async function next(messages: AsyncGenerator<Message>): Promise<Message> {
  const { value } = (await messages.next()) as { value: Message | undefined };
  if (!value) throw new Error("the host hung up without a word");
  return value;
}

const signed = ({ signer, ...visitor }: Visitor, over: Partial<HelloClaim> = {}) => {
  return (challenge: Challenge) => signHello(challenge, { atMs: Date.now(), ...visitor, ...over }, signer);
};

/** @returns `welcome`, or why it was refused */
async function outcome(helloTo: (challenge: Challenge) => Hello): Promise<string> {
  const { answer, socket } = await come(helloTo);
  socket.destroy();
  return answer.error?.details.reason ?? answer.error?.code ?? answer.type;
}

const entries = async () => (await cluster.api<{ entries: readonly Entry[] }>("GET", "/v1/audit?tail=1000")).entries;
const rejections = async () =>
  (await entries())
    .filter(({ kind }) => kind === "worker.rejected")
    .map(({ instance = "", detail }) => `${instance} ${detail?.reason ?? ""}`);

test("whoever does not belong here gets no session and is audited, and a session that runs does not notice", async () => {
  const session = new WebSocket(`${cluster.url.replace("http", "ws")}/rooms?room=lobby`);
  endings.push(() => session.terminate());
  await once(session, "open");
  let said = 0;
  const echoed: string[] = [];
  session.on("message", (data: Buffer) => echoed.push(data.toString()));
  const talking = setInterval(() => session.send(String((said += 1))), 5);
  endings.push(() => clearInterval(talking));

  // One of chat's processes is played by the test, and is let in as it should be.
  const joining = await visitorOf("/chat?room=a");
  const first = await come(signed(joining));
  expect(first.answer.type).toBe("welcome");
  const member = { ...joining, token: null, certificate: first.answer.certificate };
  let recorded: Hello | undefined;
  const again = await come((challenge) => (recorded = signed(member)(challenge)));
  expect(again.answer.type).toBe("welcome");
  const rooms = await environmentOf("/rooms?room=lobby");
  const { HOLDOVER_INSTANCE: roomsInstance = "", HOLDOVER_JOIN_TOKEN: roomsToken = "" } = rooms;
  const { signer } = newEd25519Key();

  const tries: [reason: string, instance: string, hello: (challenge: Challenge) => Hello][] = [
    ["token", roomsInstance, signed({ instance: roomsInstance, token: roomsToken, signer, certificate: null })],
    ["token", joining.instance, signed({ ...joining, signer })],
    ["proof", member.instance, () => recorded as Hello],
    ["certificate", member.instance, signed({ ...member, signer })],
    ["other-service", roomsInstance, signed(member, { instance: roomsInstance })],
    ["clock", member.instance, signed(member, { atMs: Date.now() + 10 * MINUTE_MS })],
    ["clock", member.instance, signed(member, { atMs: Date.now() - 10 * MINUTE_MS })],
    ["unknown-instance", "rooms.v0-1", signed(member, { instance: "rooms.v0-1" })],
  ];
  for (const [reason, instance, hello] of tries) expect([instance, await outcome(hello)]).toEqual([instance, reason]);
  const told = tries.map(([reason, instance]) => `${instance} ${reason}`);
  await expect.poll(rejections, WAIT).toEqual(told);

  // Its release retires, and the process is left over, with its old token and with its certificate.
  await cluster.succeed("deploy", "chat", "--release", "v2");
  await cluster.succeed("retire", "chat", "v1", "--now");
  await cluster.until("chat v1 is retired", ({ services }) =>
    services.some(({ releases }) =>
      releases.some(
        ({ id, state, instances }) =>
          id === "v1" && state === "retired" && instances.every((one) => one.state === "stopped"),
      ),
    ),
  );
  expect(await outcome(signed(member))).toBe("unknown-instance");
  expect(await outcome(signed(joining))).toBe("unknown-instance");
  const left = `${joining.instance} unknown-instance`;
  await expect.poll(rejections, WAIT).toEqual([...told, left, left]);

  await cluster.succeed("membership", "rotate", "--reason", "a test");
  clearInterval(talking);
  await expect.poll(() => echoed.length, WAIT).toBe(said);
  expect(session.readyState).toBe(WebSocket.OPEN);
  expect(echoed).toEqual(Array.from({ length: said }, (_, index) => `${roomsInstance} ${index + 1}`));
  const ofSessions = (await entries()).filter(
    ({ kind, service }) => kind.startsWith("session.") && service === "rooms",
  );
  expect(ofSessions).toEqual([]);
  expect((await cluster.run("audit", "verify")).code).toBe(0);
});
