import {
  acceptTable,
  checkHello,
  HoldoverError,
  rejectionOf,
  verifyCertificate,
  type Entry,
  type HelloCheck,
  type KnownInstance,
  type Rejection,
  type RoutingTable,
  type SignedText,
  type Trust,
  type VerifySignature,
  type WorkerHello,
} from "@holdover/core";
import type { Member } from "./worker-link.ts";

/** What a host asks control about its workers. */
interface Authority {
  /**
   * A certificate for a join token, or for a certificate that runs out.
   * @throws HoldoverError MEMBER_REJECTED, LINK_DOWN
   */
  issue(request: {
    readonly instance: string;
    readonly publicKey: string;
    readonly token: string | null;
    readonly certificate: SignedText | null;
  }): Promise<SignedText>;
  /** For the audit log. */
  rejected(rejection: Rejection): void;
}

export interface MembershipOptions {
  readonly verify: VerifySignature;
  readonly authority: Authority;
  /** The host's name. */
  readonly host: string;
  /** Milliseconds since 1970 by the clock on the wall. */
  readonly nowMs: () => number;
  readonly known: (instance: string) => KnownInstance | undefined;
  /** Whom to trust before the first table has come, as control keeps it on disk; asked again while nobody is. */
  readonly load: () => Trust | null;
}

/** Whom this host believes: which tables it follows, and which workers it lets in. Control need not be there for it. */
export class Membership {
  readonly #options: MembershipOptions;
  #trust: Trust | null = null;
  #table: SignedText | null = null;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** The table in force as control signed it; null before one has come. */
  get table(): SignedText | null {
    return this.#table;
  }

  /**
   * Takes a table from control.
   * @param inForce the number of the table in force
   * @throws HoldoverError TABLE_REJECTED; then everything stays as it was
   */
  accept(signed: SignedText, inForce: number): RoutingTable {
    let known = this.#known();
    if (!known) throw new HoldoverError("TABLE_REJECTED", { problem: "this host does not know whom to trust yet" });
    const saved = this.#options.load();
    // Control has lost all its keys and was told so by an operator: no table that is signed by the new one would ever do.
    if (saved && saved.epoch > known.epoch) known = saved;
    const { trust, table } = acceptTable(signed, { trust: known, number: inForce }, this.#options.verify);
    this.#trust = trust;
    this.#table = signed;
    return table;
  }

  /** The clock that certificates are checked by. */
  nowMs(): number {
    return this.#options.nowMs();
  }

  /** Instances that were revoked. */
  get revoked(): readonly string[] {
    return this.#known()?.revoked ?? [];
  }

  /** Whether an instance was revoked. */
  isRevoked(instance: string): boolean {
    return this.revoked.includes(instance);
  }

  /**
   * Who a worker is.
   * @returns with the certificate that control made for it, where it came with a join token
   * @throws HoldoverError MEMBER_REJECTED, which is audited; LINK_DOWN where control is away that has to say
   */
  async welcome(hello: WorkerHello, nonce: string): Promise<{ member: Member; certificate: SignedText | null }> {
    const { verify, authority, host, nowMs } = this.#options;
    const { instance, publicKey } = hello;
    const known = this.#options.known(instance);
    const trust = this.#known();
    if (!trust) throw new HoldoverError("LINK_DOWN");
    const check = { challenge: { nonce, host }, known, trust, nowMs: nowMs(), verify };
    const entry = this.#told(instance, () => entryOf(hello, check));
    const request = { instance, publicKey, token: null, certificate: null };
    // Checked with the hello: an instance that is not known is refused there.
    const { service, release } = known as KnownInstance;
    const member = { instance, service, release };
    if (entry === null) {
      return { member, certificate: await authority.issue({ ...request, certificate: hello.certificate }) };
    }
    if (entry.by === "certificate") return { member, certificate: null };
    return { member, certificate: await authority.issue({ ...request, token: entry.token }) };
  }

  /** @throws HoldoverError MEMBER_REJECTED, LINK_DOWN */
  async renew({ instance }: Member, publicKey: string, certificate: SignedText): Promise<SignedText> {
    const { verify, authority } = this.#options;
    const trust = this.#known();
    if (!trust) throw new HoldoverError("LINK_DOWN");
    const known = this.#options.known(instance);
    this.#told(instance, () =>
      verifyCertificate(certificate, { claim: { instance, publicKey }, known, trust, verify }),
    );
    return authority.issue({ instance, publicKey, token: null, certificate });
  }

  /** Told to control for the audit log, where it is a refusal. */
  refused(instance: string, thrown: unknown): void {
    const rejection = rejectionOf(thrown, instance);
    if (rejection) this.#options.authority.rejected(rejection);
  }

  /** Control audits what it refuses itself; of what is refused here it is told. */
  #told<Checked>(instance: string, check: () => Checked): Checked {
    try {
      return check();
    } catch (thrown) {
      this.refused(instance, thrown);
      throw thrown;
    }
  }

  #known(): Trust | null {
    this.#trust ??= this.#options.load();
    return this.#trust;
  }
}

/** Null for a hello whose certificate has run out, and that is good but for that. */
function entryOf(hello: WorkerHello, check: HelloCheck): Entry | null {
  try {
    return checkHello(hello, check);
  } catch (thrown) {
    if (rejectionOf(thrown, hello.instance)?.reason === "expired") return null;
    throw thrown;
  }
}
