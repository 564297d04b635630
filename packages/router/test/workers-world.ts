import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CERTIFICATE_MS,
  signCertificate,
  signTable,
  type KnownInstance,
  type RoutedRelease,
  type Trust,
  type WorkerHello,
} from "@holdover/core";
import { ManualClock, settled } from "@holdover/testkit/manual-clock";
import { MemoryCheckpointStore } from "@holdover/testkit/memory-checkpoint-store";
import { MemoryPinStore } from "@holdover/testkit/memory-pin-store";
import { Sessions } from "../src/sessions.ts";
import { Membership } from "../src/workers/membership.ts";
import { createWorkerServer, type WorkerServer } from "../src/workers/worker-server.ts";
import { newKey, RawWorker, verifyKey, type Identity } from "./raw-worker.ts";
import { table } from "./sessions-fixture.ts";

/** A host's end of the worker links, on a real socket, with stores in memory and an authority that says yes. */
export class WorkersWorld {
  readonly clock = new ManualClock();
  readonly pins = new MemoryPinStore();
  readonly checkpoints = new MemoryCheckpointStore();
  readonly running = new Map<string, KnownInstance>();
  readonly rejected: { readonly instance: string; readonly reason: string }[] = [];
  readonly drains: string[] = [];
  readonly forced: { readonly cut: number; readonly reason: string }[] = [];
  readonly logged: string[] = [];
  /** What was told with each of {@link logged}. */
  readonly details: Record<string, unknown>[] = [];
  readonly dir = mkdtempSync(join(tmpdir(), "holdover-workers-"));
  readonly socketPath = join(this.dir, "workers.sock");
  readonly #signer = newKey();
  readonly #dialled: RawWorker[] = [];
  trust: Trust = { epoch: 1, keys: [this.#signer.publicKey], revoked: [] };
  /** Before a certificate is made. */
  beforeIssue: () => Promise<void> = async () => {};
  sessions!: Sessions;
  server!: WorkerServer;
  membership!: Membership;
  #number = 0;
  #keys = 0;
  #serial = 0;
  #wakeLog: () => void = () => {};

  async open(): Promise<void> {
    const log = (event: string, detail: Record<string, unknown>): void => {
      this.logged.push(event);
      this.details.push(detail);
      this.#wakeLog();
    };
    const newSessionKey = (): string => `~${(this.#keys += 1)}`;
    this.sessions = new Sessions({
      pins: this.pins,
      tableCache: { save: () => {}, load: () => undefined },
      clock: this.clock,
      limit: 100_000,
      newKey: newSessionKey,
      random: () => 0.5,
      changed: () => {},
      log,
    });
    await this.sessions.open();
    this.membership = new Membership({
      verify: verifyKey,
      authority: {
        issue: async ({ instance, publicKey }) => {
          await this.beforeIssue();
          return this.certificateFor(instance, publicKey);
        },
        rejected: ({ instance, reason }) => void this.rejected.push({ instance, reason }),
      },
      host: "host-1",
      nowMs: () => this.clock.now(),
      known: (instance) => this.running.get(instance),
      load: () => this.trust,
    });
    this.server = createWorkerServer({
      sessions: this.sessions,
      checkpoints: this.checkpoints,
      membership: this.membership,
      clock: this.clock,
      host: "host-1",
      newKey: newSessionKey,
      sessionName: (key) => `the name of ${key.length} letters`,
      look: () => Promise.resolve(),
      drain: (_member, { phase, cut, reason }) => {
        this.drains.push(phase);
        if (phase === "forced") this.forced.push({ cut, reason });
      },
      log,
    });
    await this.server.listen(this.socketPath);
  }

  certificateFor(instance: string, publicKey: string, more: object = {}) {
    const fromMs = this.clock.now();
    const as = this.running.get(instance) ?? { service: "rooms", release: "v1" };
    return signCertificate(
      {
        serial: (this.#serial += 1),
        ...as,
        instance,
        publicKey,
        fromMs,
        untilMs: fromMs + CERTIFICATE_MS,
        epoch: 1,
        ...more,
      },
      [this.#signer],
    );
  }

  /** Puts a table in force, as the host does when control sends one. */
  apply(...releases: RoutedRelease[]): void {
    this.#number += 1;
    const signed = signTable({ trust: this.trust, table: table(this.#number, ...releases) }, [this.#signer]);
    this.sessions.apply(this.membership.accept(signed, this.sessions.table().number));
    this.server.tableChanged();
    for (const { id, instances } of releases) {
      for (const one of instances) this.running.set(one.id, { service: "rooms", release: id });
    }
  }

  /** As the router does when an instance has ended. */
  lose(instance: string): Promise<void> {
    const lost = this.sessions.lose(instance);
    this.server.lose(instance);
    this.running.delete(instance);
    return lost;
  }

  identity(instance: string, more: Partial<Identity> = {}): Identity {
    return { instance, key: newKey(), token: "token", certificate: null, clockMs: () => this.clock.now(), ...more };
  }

  dial(identity: Identity): RawWorker {
    const worker = new RawWorker(this.socketPath, identity);
    this.#dialled.push(worker);
    return worker;
  }

  async join(instance: string, more: Partial<WorkerHello> = {}): Promise<RawWorker> {
    const worker = this.dial(this.identity(instance));
    await worker.join(more);
    return worker;
  }

  /** The same worker over a new link. */
  async again(worker: RawWorker, more: Partial<WorkerHello> = {}): Promise<RawWorker> {
    const next = this.dial(worker.identity);
    await next.join(more);
    return next;
  }

  /** Breaks a worker's link; resolves when the host has seen it. */
  async break(worker: RawWorker): Promise<void> {
    const before = this.count("worker.away");
    await worker.break();
    await this.until(() => this.count("worker.away") > before);
  }

  count(event: string): number {
    return this.logged.filter((one) => one === event).length;
  }

  /** Resolves once something holds that comes with an entry of the log. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#wakeLog = resolve;
      });
    }
  }

  /** Everything that was sent has come, both ways: a call and its answer on this link. */
  async heard(worker: RawWorker): Promise<void> {
    await worker.call({ name: "ready", ready: true });
    await settled();
  }

  /** Where a session lives now. */
  at(key: string): string | null {
    return this.sessions.find("rooms", key)?.place?.instance ?? null;
  }

  stateOf(key: string): string | null {
    return this.sessions.find("rooms", key)?.state.name ?? null;
  }

  ends(): Promise<string[]> {
    return this.pins
      .events(1000)
      .then((events) =>
        events.flatMap((event) => (event.kind === "ended" ? [`${event.session.key} ${event.session.reason}`] : [])),
      );
  }

  async close(): Promise<void> {
    for (const worker of this.#dialled) await worker.break();
    await this.server.close();
    this.sessions.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
