import {
  CERTIFICATE_MS,
  CLOCKS_APART_MS,
  HoldoverError,
  INSTANCE_ID_CHARS,
  memberRejected,
  PUBLIC_KEY,
  REJECTION_REASONS,
  rejectionOf,
  REVOKED_MOST,
  signCertificate,
  signTable,
  TRUSTED_KEYS_MOST,
  verifyCertificate,
  type AuditDraft,
  type AuditLog,
  type Certificate,
  type Clock,
  type KeyRing,
  type KnownInstance,
  type Member,
  type MemberStore,
  type Membership,
  type Rejection,
  type RejectionReason,
  type RoutingTable,
  type SignedText,
  type Trust,
  type VerifySignature,
} from "@holdover/core";
import { createHash, randomBytes } from "node:crypto";
import { createRejectionAudit } from "./rejection-audit.ts";
import { openSigningKeys } from "./signing-keys.ts";

/**
 * How long after its end a certificate can still be exchanged for a new one, ms: the machine slept, or control was away.
 * Members are forgotten after it.
 */
const RENEW_LATE_MS = 7 * 86_400_000;
/** A certificate that is younger than this share of its time is not made anew: whoever asks again and again gets the same. */
const YOUNG = 0.25;
/** Tells what it is wherever one is found; scanners for secrets go by it. */
const TOKEN_PREFIX = "holdover_join_";

export interface AuthorityOptions {
  readonly members: MemberStore;
  readonly keyRing: KeyRing;
  readonly audit: Pick<AuditLog, "append">;
  readonly verify: VerifySignature;
  /** The clock on the wall, as the hosts and workers see it: certificates are checked by it. */
  readonly clock: Clock;
  /** What was last given to `changed`, where nobody else can write; null: nothing yet. */
  readonly published: Trust | null;
  /**
   * The instance, where it runs and is not of a retired release.
   * @throws HoldoverError where that is not known now: whoever asked may ask again
   */
  readonly known: (instance: string) => KnownInstance | null;
  /** Trust has changed: the table is to be published anew. What it throws goes to whoever asked for the change. */
  readonly changed: (trust: Trust) => Promise<void>;
  readonly log: { error(fields: Readonly<Record<string, unknown>>, message: string): void };
}

/** What a host asks for a worker whose proof it has checked: with a token the first time, then with the certificate. */
export interface CertificateRequest {
  readonly instance: string;
  readonly publicKey: string;
  readonly token: string | null;
  readonly certificate: SignedText | null;
}

/** Says who belongs to this Holdover: signs the routing table and the certificates of the workers. */
export interface Authority {
  /** Whom to trust, as it is now. */
  trust(): Trust;
  /** By every key that still signs, so that whoever knows one of them follows. */
  signTable(table: RoutingTable): SignedText;
  /**
   * A token that lets one process join as this instance, once. An earlier one that nobody has used is void.
   * @param lastsMs long enough for the start of the instance
   * @throws HoldoverError STORE_FAILED
   */
  invite(as: KnownInstance & { readonly instance: string }, lastsMs: number): Promise<string>;
  /**
   * The first certificate or the next one. A refusal is audited here.
   * @throws HoldoverError MEMBER_REJECTED, STORE_FAILED, and what `known` throws
   */
  issue(request: CertificateRequest): Promise<SignedText>;
  /** Audits what a host or a worker refused. So many at once are told one by one, the rest is counted. Never throws. */
  rejected(rejection: Rejection): Promise<void>;
  /** How often members were refused, by hosts and here, since this process began. */
  rejections(): Readonly<Record<RejectionReason, number>>;
  /**
   * Takes a new key. The one before goes on signing for a day.
   * @throws HoldoverError SIGNING_KEYS_MOST, KEY_UNREADABLE, STORE_FAILED, and what `changed` throws: it is rotated then
   */
  rotate(actor: string, reason: string): Promise<Membership>;
  /**
   * Nothing is placed on the instance any more by its worker's word, and it gets no certificate. What runs is left alone.
   * @throws HoldoverError MEMBER_UNKNOWN, REQUEST_INVALID where there are too many, STORE_FAILED, and what `changed` throws
   */
  revoke(instance: string, actor: string, reason: string): Promise<Membership>;
  show(): Membership;
  /** Ends its timer; what is under way comes to its end. */
  close(): Promise<void>;
}

/**
 * Opens what is stored; the first time it makes a key. What a crash left half done is finished or cleared away.
 * @throws HoldoverError KEY_UNREADABLE where some keys are gone and others are not, STORE_FAILED
 */
export async function createAuthority(options: AuthorityOptions): Promise<Authority> {
  const { members, verify, clock, known } = options;
  let last: Promise<unknown> = Promise.resolve();

  /** One after the other: each goes by what those before have stored. */
  function exclusive<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  }

  let membership = await members.load();
  const keys = await openSigningKeys({
    ...options,
    exclusive,
    loaded: (now) => {
      membership = now;
    },
    changed: () => options.changed(trust()),
  });
  const audit = createRejectionAudit(options.audit, clock, options.log);
  const rejections = Object.fromEntries(REJECTION_REASONS.map((reason) => [reason, 0])) as Record<
    RejectionReason,
    number
  >;

  function rejected(rejection: Rejection): Promise<void> {
    rejections[rejection.reason] += 1;
    return audit(rejection);
  }

  function trust(): Trust {
    return { epoch: membership.epoch, keys: keys.signers().map(({ publicKey }) => publicKey), revoked: revoked() };
  }

  /** Those that still run, or whose certificate has not run out everywhere. */
  function revoked(): string[] {
    const nowMs = clock.now();
    return membership.members
      .filter(({ revokedAtMs }) => revokedAtMs !== null)
      .filter(({ instance, untilMs }) => nowMs < untilMs + CLOCKS_APART_MS || mayRun(instance))
      .map(({ instance }) => instance);
  }

  function mayRun(instance: string): boolean {
    try {
      return known(instance) !== null;
    } catch {
      // Nobody can tell now. Forgotten too early it would be let in again.
      return true;
    }
  }

  const memberOf = (instance: string): Member | undefined =>
    membership.members.find((one) => one.instance === instance);

  async function join(request: CertificateRequest & { token: string }, as: KnownInstance): Promise<SignedText> {
    const { instance, publicKey, token } = request;
    const refuse = (problem: string): HoldoverError => memberRejected(instance, "token", problem);
    const digest = digestOf(token);
    const invitation = await members.invitation(digest);
    if (!invitation) throw refuse("its join token was not given out by this Holdover, or was taken back");
    const { token: stored, usedBy } = invitation;
    if (stored.instance !== instance) throw refuse(`its join token is that of ${stored.instance}`);
    if (stored.service !== as.service || stored.release !== as.release) {
      const other = `its join token is for ${stored.release} of ${stored.service}`;
      throw memberRejected(instance, "other-service", `${other}, and it runs ${as.release} of ${as.service}`);
    }
    if (usedBy !== null && usedBy !== publicKey) throw refuse("its join token was used by another process");
    const nowMs = clock.now();
    if (nowMs >= stored.expiresAtMs) throw refuse("its join token is over");
    const member = { instance, ...as, publicKey, joinedAtMs: nowMs, revokedAtMs: null, ...nextCertificate(nowMs) };
    const { service, release } = as;
    const joined: AuditDraft = {
      atMs: nowMs,
      kind: "worker.joined",
      actor: "control",
      reason: "it came with its join token",
      service,
      release,
      instance,
      detail: { serial: member.serial, publicKey },
    };
    const outcome = await members.join(digest, member, [joined]);
    if (outcome === "none") throw refuse("its join token was taken back");
    if (outcome === "taken") throw refuse("its join token was used by another process");
    return certificateOf(member, nowMs);
  }

  async function renew(
    { instance, publicKey }: CertificateRequest,
    certificate: SignedText,
    as: KnownInstance,
  ): Promise<SignedText> {
    const content = verifyCertificate(certificate, {
      claim: { instance, publicKey },
      known: as,
      trust: trust(),
      verify,
    });
    const member = memberOf(instance);
    if (!member || member.publicKey !== publicKey) {
      throw memberRejected(instance, "certificate", "control knows no member with this key");
    }
    const nowMs = clock.now();
    if (nowMs >= member.untilMs + RENEW_LATE_MS) {
      throw memberRejected(instance, "expired", "its certificate ran out too long ago to be renewed");
    }
    if (isYoung(content, nowMs)) return certificate;
    const next = { ...member, ...nextCertificate(nowMs) };
    if (!(await members.renew(instance, next))) throw memberRejected(instance, "revoked", "it was revoked");
    return certificateOf(next, nowMs);
  }

  function nextCertificate(nowMs: number): Pick<Member, "serial" | "untilMs"> {
    return { serial: membership.lastSerial + 1, untilMs: nowMs + CERTIFICATE_MS };
  }

  async function certificateOf(member: Member, fromMs: number): Promise<SignedText> {
    membership = await members.load();
    const { serial, service, release, instance, publicKey, untilMs } = member;
    const content = { serial, service, release, instance, publicKey, fromMs, untilMs, epoch: membership.epoch };
    return signCertificate(content, keys.signers());
  }

  async function issue(request: CertificateRequest): Promise<SignedText> {
    const { instance, publicKey, token, certificate } = request;
    if (!PUBLIC_KEY.test(publicKey)) throw memberRejected(instance, "proof", "what it names is no key");
    const as = known(instance);
    if (!as) throw memberRejected(instance, "unknown-instance", "no such instance runs");
    // Whichever it comes with: its token may be its own.
    if ((memberOf(instance)?.revokedAtMs ?? null) !== null) throw memberRejected(instance, "revoked", "it was revoked");
    if (certificate) return renew(request, certificate, as);
    if (token !== null) return join({ ...request, token }, as);
    throw memberRejected(instance, "token", "it brought neither a join token nor a certificate");
  }

  return {
    trust,
    signTable: (table) => signTable({ trust: trust(), table }, keys.signers()),
    invite: ({ service, release, instance }, lastsMs) =>
      exclusive(async () => {
        const token = `${TOKEN_PREFIX}${randomBytes(32).toString("base64url")}`;
        const nowMs = clock.now();
        await members.forget({ tokensMs: nowMs - CERTIFICATE_MS, membersMs: nowMs - RENEW_LATE_MS }, revoked());
        await members.invite({ digest: digestOf(token), instance, service, release, expiresAtMs: nowMs + lastsMs });
        membership = await members.load();
        return token;
      }),
    issue: (request) =>
      exclusive(() => issue(request)).catch(async (thrown: unknown) => {
        const rejection = rejectionOf(thrown, request.instance);
        if (rejection) await rejected(rejection);
        throw thrown;
      }),
    rejected,
    rejections: () => ({ ...rejections }),
    rotate: (actor, reason) =>
      exclusive(async () => {
        if (membership.keys.length >= TRUSTED_KEYS_MOST) {
          throw new HoldoverError("SIGNING_KEYS_MOST", { limit: TRUSTED_KEYS_MOST });
        }
        await keys.rotate(actor, reason);
        await options.changed(trust());
        return membership;
      }),
    revoke: (instance, actor, reason) =>
      exclusive(async () => {
        const nowMs = clock.now();
        const member = memberOf(instance);
        if (member && member.revokedAtMs !== null) return membership;
        if (revoked().length >= REVOKED_MOST) {
          throw new HoldoverError("REQUEST_INVALID", {
            problem: `There are ${REVOKED_MOST} revoked instances that run already: retire their releases.`,
          });
        }
        const entry: AuditDraft = {
          atMs: nowMs,
          kind: "worker.revoked",
          actor,
          reason,
          ...(member && { service: member.service, release: member.release }),
          instance: instance.slice(0, INSTANCE_ID_CHARS),
          detail: { serial: member?.serial ?? null, epoch: membership.epoch + 1 },
        };
        if (!(await members.revoke(instance, nowMs, [entry]))) throw new HoldoverError("MEMBER_UNKNOWN", { instance });
        membership = await members.load();
        await options.changed(trust());
        return membership;
      }),
    show: () => membership,
    async close() {
      keys.close();
      await last;
    },
  };
}

function isYoung({ fromMs, untilMs }: Certificate, nowMs: number): boolean {
  return nowMs >= fromMs && nowMs < fromMs + (untilMs - fromMs) * YOUNG;
}

function digestOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
