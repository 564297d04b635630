import { open, readdir, readlink } from "node:fs/promises";
import { endianness } from "node:os";
import { allProcesses, type ProcessFacts } from "./process-table.ts";

/** A socket that takes connections, as the kernel lists it. Linux only. */
interface Listener {
  readonly address: string;
  readonly port: number;
  readonly inode: string;
  /** Connections that came about and that the program has not taken yet. */
  readonly waiting: number;
}

const LISTEN = "0A";
const CHUNK_BYTES = 32_768;

/**
 * Every listening socket; null where it cannot be known. The kernel lists these first, and reading stops behind them:
 * a router with ten thousand connections would otherwise spend more on this table than on its traffic.
 */
async function allListeners(): Promise<Listener[] | null> {
  if (process.platform !== "linux") return null;
  const [v4, v6] = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map(readListeners));
  if (!v4) return null;
  return [...v4, ...(v6 ?? [])];
}

async function readListeners(file: string): Promise<Listener[] | null> {
  const handle = await open(file, "r").catch(() => null);
  if (!handle) return null;
  try {
    const listeners: Listener[] = [];
    const buffer = Buffer.alloc(CHUNK_BYTES);
    let rest = "";
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return listeners;
      const lines = (rest + buffer.toString("latin1", 0, bytesRead)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const row = line.trim().split(/\s+/);
        if (row[0] === "sl") continue;
        if (row[3] !== LISTEN) return listeners;
        const listener = parseRow(row);
        if (listener) listeners.push(listener);
      }
    }
  } finally {
    await handle.close();
  }
}

/** `sl local rem st tx:rx tr:tm retrnsmt uid timeout inode`; in a listening row rx counts the connections that wait. */
function parseRow(row: readonly string[]): Listener | null {
  const [, local, , , queues] = row;
  const inode = row[9];
  const [address, port] = local?.split(":") ?? [];
  const waiting = queues?.split(":")[1];
  if (!address || !port || !waiting || !inode) return null;
  return {
    address: parseAddress(address),
    port: Number.parseInt(port, 16),
    inode,
    waiting: Number.parseInt(waiting, 16),
  };
}

/** Addresses are written as 32-bit words in the byte order of the machine. */
export function parseAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => {
    const inOrder = word.match(/../g) ?? [];
    return endianness() === "LE" ? inOrder.reverse() : inOrder;
  });
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join(".");
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number.parseInt(`${bytes[index * 2]}${bytes[index * 2 + 1]}`, 16).toString(16),
  );
  if (groups.every((group) => group === "0")) return "::";
  if (groups.slice(0, 7).every((group) => group === "0")) return `::${groups[7]}`;
  return groups.join(":");
}

/** Whether a connection to 127.0.0.1 can arrive there. */
function takesLoopback(listener: Listener): boolean {
  return ["127.0.0.1", "0.0.0.0", "::"].includes(listener.address) || listener.address.startsWith("0:0:0:0:0:ffff:");
}

/** The processes of an instance: of its group or session, or begun by one of them. */
function processesOf(leader: number, all: readonly ProcessFacts[]): ProcessFacts[] {
  const ours = new Set(
    all.filter((one) => one.pid === leader || one.group === leader || one.session === leader).map((one) => one.pid),
  );
  for (let before = -1; before !== ours.size;) {
    before = ours.size;
    for (const one of all) if (ours.has(one.parent)) ours.add(one.pid);
  }
  return all.filter((one) => ours.has(one.pid));
}

/** Inodes of the sockets that a process holds; null where that is closed to us. */
async function socketsOf(pid: number): Promise<Set<string> | null> {
  const dir = `/proc/${pid}/fd`;
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? [] : null));
  if (!names) return null;
  const links = await Promise.all(names.map((name) => readlink(`${dir}/${name}`).catch(() => "")));
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}

function sharesOne(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return [...other].some((inode) => one.has(inode));
}

/** Whose listener answers on a port. */
export type PortOwner =
  | { readonly owner: "instance" }
  | { readonly owner: "stranger"; readonly problem: string }
  /** Not Linux, or the processes belong to another user. */
  | { readonly owner: "unknown" };

/**
 * Tells whether the instance itself listens on a port, or something that happens to be there. A program that has another
 * service listen in its stead (`docker run -p`) therefore does not get healthy. Never rejects.
 */
export function ownerOf(port: number, leader: number): Promise<PortOwner> {
  return findOwner(port, leader).catch(() => ({ owner: "unknown" }));
}

async function findOwner(port: number, leader: number): Promise<PortOwner> {
  const listeners = (await allListeners())?.filter((one) => one.port === port && takesLoopback(one));
  if (!listeners || listeners.length === 0) return { owner: "unknown" };
  const inodes = new Set(listeners.map((one) => one.inode));
  const all = await allProcesses();
  const ours = processesOf(leader, all);
  // The list is not whole: nothing follows from what is not on it.
  if (!ours.some((one) => one.pid === leader)) return { owner: "unknown" };
  let closed = false;
  for (const { pid } of ours) {
    const sockets = await socketsOf(pid);
    if (!sockets) closed = true;
    else if (sharesOne(sockets, inodes)) return { owner: "instance" };
  }
  if (closed) return { owner: "unknown" };
  return { owner: "stranger", problem: await describeStranger(port, inodes, all, new Set(ours.map(({ pid }) => pid))) };
}

async function describeStranger(
  port: number,
  inodes: ReadonlySet<string>,
  all: readonly ProcessFacts[],
  ours: ReadonlySet<number>,
): Promise<string> {
  for (const { pid, name } of all) {
    if (ours.has(pid)) continue;
    const sockets = await socketsOf(pid);
    if (sockets && sharesOne(sockets, inodes)) {
      return `PORT ${port} is answered by ${name} (pid ${pid}), which is no process of this instance`;
    }
  }
  return `PORT ${port} is answered by a process that is not of this instance`;
}

/** What the instance does listen on, against what it should. Null where it cannot be known. */
export async function describeListening(port: number, leader: number): Promise<string | null> {
  const listeners = await allListeners();
  if (!listeners) return null;
  const inodes = new Set<string>();
  for (const { pid } of processesOf(leader, await allProcesses())) {
    const sockets = await socketsOf(pid);
    if (!sockets) return null;
    for (const inode of sockets) inodes.add(inode);
  }
  const own = listeners.filter((one) => inodes.has(one.inode));
  const onPort = own.find((one) => one.port === port);
  if (onPort && takesLoopback(onPort)) return `it listens on PORT ${port} and does not answer`;
  if (onPort) {
    const address = onPort.address.includes(":") ? `[${onPort.address}]` : onPort.address;
    return `it listens on ${address}:${port}, where 127.0.0.1 (given in HOST) does not arrive`;
  }
  if (own.length === 0) return `it listens on nothing; PORT is ${port}`;
  const ports = [...new Set(own.map((one) => one.port))].sort((a, b) => a - b);
  return `it listens on ${ports.join(", ")} and not on PORT ${port}`;
}

/** Connections that wait on a port until the program takes them; null where it cannot be known. Never rejects. */
export async function waitingOn(port: number): Promise<number | null> {
  const own = (await allListeners().catch(() => null))?.filter((one) => one.port === port && takesLoopback(one));
  if (!own || own.length === 0) return null;
  return own.reduce((sum, one) => sum + one.waiting, 0);
}
