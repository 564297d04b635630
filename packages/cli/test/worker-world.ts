import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newEd25519Key, verifyEd25519 } from "@holdover/adapters/signers/ed25519";
import { openKeyRing } from "@holdover/adapters/signers/key-ring";
import { openControlStore, openHostStore, type ControlStore, type HostStore } from "@holdover/adapters/stores/sqlite";
import { createAuthority, type Authority } from "@holdover/control";
import {
  HoldoverError,
  signTable,
  writeTrust,
  type AuditEntry,
  type KnownInstance,
  type LiveSession,
  type RoutedInstance,
  type RoutedRelease,
  type SignedText,
  type Trust,
} from "@holdover/core";
import { createRouter, Membership, type Router } from "@holdover/router";
import { systemClock } from "../src/system-clock.ts";

/** A signed table of these releases, as somebody makes it who has the key. */
export const routed = (
  id: string,
  admission: RoutedRelease["admission"],
  instances: RoutedInstance[],
): RoutedRelease => ({
  id,
  admission,
  percent: admission === "new" ? 100 : 0,
  ending: null,
  lingerMs: 60_000,
  deadlineMs: null,
  wedged: null,
  instances,
});

export const at = (id: string, port = 9, more: Partial<RoutedInstance> = {}): RoutedInstance => ({
  id,
  host: "127.0.0.1",
  port,
  capacity: null,
  admission: "new",
  ending: null,
  ...more,
});

/** One host with its router and its stores on a disk, and control's authority: all real, in one process. */
export class WorkerWorld {
  readonly dir = mkdtempSync(join(tmpdir(), "holdover-worker-"));
  readonly socketPath = join(this.dir, "worker.sock");
  readonly running = new Map<string, KnownInstance>();
  readonly forced: { readonly instance: string; readonly cut: number; readonly reason: string }[] = [];
  readonly logged: { readonly event: string; readonly [field: string]: unknown }[] = [];
  /** How far control's clock is behind, ms. */
  controlLateMs = 0;
  /** Control cannot be asked. */
  isControlAway = false;
  /** Counts, table or events of the router have changed. */
  changed: () => void = () => {};
  controlStore!: ControlStore;
  authority!: Authority;
  host!: HostStore;
  router!: Router;
  membership!: Membership;
  url = "";
  #published: Trust | null = null;
  #number = 0;
  #releases: RoutedRelease[] = [];
  #port = 0;

  async open(): Promise<void> {
    this.controlStore = openControlStore(join(this.dir, "control.db"));
    this.authority = await createAuthority({
      members: this.controlStore.members,
      keyRing: await openKeyRing(join(this.dir, "membership")),
      audit: this.controlStore.audit,
      verify: verifyEd25519,
      clock: { now: () => systemClock.now() - this.controlLateMs, after: (ms, run) => systemClock.after(ms, run) },
      published: null,
      known: (instance) => this.running.get(instance) ?? null,
      changed: async (trust) => void (this.#published = trust),
      log: { error: () => {} },
    });
    this.#published = this.authority.trust();
    await this.startHost();
  }

  async startHost(): Promise<void> {
    this.host = openHostStore(join(this.dir, "host.db"));
    const log = (event: string, detail: Record<string, unknown>): void => void this.logged.push({ event, ...detail });
    this.membership = new Membership({
      verify: verifyEd25519,
      authority: {
        issue: (request) =>
          this.isControlAway ? Promise.reject(new HoldoverError("LINK_DOWN")) : this.authority.issue(request),
        rejected: (rejection) => void this.authority.rejected(rejection),
      },
      host: this.host.identity,
      nowMs: Date.now,
      known: (instance) => this.running.get(instance),
      load: () => this.#published,
    });
    this.router = await createRouter({
      pins: this.host.pins,
      tableCache: this.host.table,
      clock: systemClock,
      limits: { sessions: 10_000, headBytes: 16_384, headTimeoutMs: 5000 },
      trustForwarded: false,
      accessLog: false,
      secret: Buffer.alloc(32, 1),
      look: async () => {},
      changed: () => this.changed(),
      workers: {
        checkpoints: this.host.checkpoints,
        membership: this.membership,
        host: this.host.identity,
        drain: ({ instance }, { phase, cut, reason }) => {
          if (phase === "forced") this.forced.push({ instance, cut, reason });
        },
      },
      log,
    });
    await this.router.workers.listen(this.socketPath);
    const { port } = await this.router.listen("127.0.0.1", this.#port);
    this.#port = port;
    this.url = `127.0.0.1:${port}`;
    if (this.#releases.length > 0) this.apply(...this.#releases);
  }

  async stopHost(): Promise<void> {
    await this.router.close();
    this.host.close();
  }

  apply(...releases: RoutedRelease[]): void {
    this.#releases = releases;
    this.#number += 1;
    const signed = this.authority.signTable(this.tableOf(this.#number, releases));
    this.router.apply(this.membership.accept(signed, this.router.table().number));
    this.router.workers.tableChanged();
  }

  tableOf(number: number, releases: RoutedRelease[]) {
    return {
      number,
      services: [
        {
          name: "rooms",
          hosts: [],
          path: "/",
          key: [{ query: "room" }],
          label: null,
          disconnects: { atOnce: 1, periodMs: 1000 },
          lingerMs: 60_000,
          connectionAge: null,
          releases,
        },
      ],
    };
  }

  get number(): number {
    return this.#number;
  }

  /** A table that somebody made who has no key that is trusted. */
  forgedTable(number: number, releases: RoutedRelease[]): SignedText {
    const table = this.tableOf(number, releases);
    return signTable({ trust: this.authority.trust(), table }, [newEd25519Key().signer]);
  }

  /** What the process of an instance is started with. */
  async start(instance: string, as: KnownInstance = { service: "rooms", release: "v1" }): Promise<NodeJS.ProcessEnv> {
    this.running.set(instance, as);
    return {
      HOLDOVER_LINK: this.socketPath,
      HOLDOVER_INSTANCE: instance,
      HOLDOVER_SERVICE: as.service,
      HOLDOVER_RELEASE: as.release,
      HOLDOVER_JOIN_TOKEN: await this.authority.invite({ instance, ...as }, 60_000),
      HOLDOVER_TRUST: writeTrust(this.authority.trust()),
    };
  }

  count(event: string): number {
    return this.logged.filter((one) => one.event === event).length;
  }

  async audited(kind: string): Promise<AuditEntry[]> {
    return (await this.controlStore.audit.tail(10_000)).filter((entry) => entry.kind === kind);
  }

  async session(key: string): Promise<LiveSession | undefined> {
    return (await this.router.sessions({ service: "rooms", key, limit: 1 })).sessions[0];
  }

  async close(): Promise<void> {
    await this.stopHost();
    await this.authority.close();
    this.controlStore.close();
    rmSync(this.dir, { recursive: true });
  }
}
