import type { JoinToken, Member, MemberStore, SigningKey } from "@holdover/core";
import type { StoreWithAudit } from "./audit-log.ts";
import type { Database } from "./database.ts";

interface TokenRow {
  readonly digest: string;
  readonly instance: string;
  readonly service: string;
  readonly release: string;
  readonly expires_at_ms: number;
  readonly used_by: string | null;
}

interface MemberRow {
  readonly instance: string;
  readonly service: string;
  readonly release: string;
  readonly public_key: string;
  readonly joined_at_ms: number;
  readonly serial: number;
  readonly until_ms: number;
  readonly revoked_at_ms: number | null;
}

interface KeyRow {
  readonly public_key: string;
  readonly since_ms: number;
  readonly until_ms: number | null;
}

/** The step of the control database that makes what is kept here. */
export const MEMBER_TABLES = `
    CREATE TABLE membership (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      epoch INTEGER NOT NULL,
      last_serial INTEGER NOT NULL
    ) STRICT;
    INSERT INTO membership VALUES (1, 0, 0);
    -- Public halves; the private ones are files. Position 1 is the newest.
    CREATE TABLE signing_keys (
      position INTEGER PRIMARY KEY,
      public_key TEXT NOT NULL UNIQUE,
      since_ms REAL NOT NULL,
      until_ms REAL
    ) STRICT;
    -- Join tokens by their digest: the token itself is stored nowhere.
    CREATE TABLE join_tokens (
      digest TEXT PRIMARY KEY,
      instance TEXT NOT NULL,
      service TEXT NOT NULL,
      release TEXT NOT NULL,
      expires_at_ms REAL NOT NULL,
      used_by TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX join_tokens_by_instance ON join_tokens (instance);
    CREATE TABLE members (
      instance TEXT PRIMARY KEY,
      service TEXT NOT NULL,
      release TEXT NOT NULL,
      public_key TEXT NOT NULL,
      joined_at_ms REAL NOT NULL,
      serial INTEGER NOT NULL,
      until_ms REAL NOT NULL,
      revoked_at_ms REAL
    ) STRICT, WITHOUT ROWID;
    `;

export function memberStore(database: Database, store: StoreWithAudit): MemberStore {
  const { sql } = database;
  const state = sql.prepare("SELECT epoch, last_serial FROM membership");
  const raiseEpoch = sql.prepare("UPDATE membership SET epoch = max(epoch, ?) + 1");
  const raiseSerial = sql.prepare("UPDATE membership SET last_serial = max(last_serial, ?)");
  const keys = sql.prepare("SELECT public_key, since_ms, until_ms FROM signing_keys ORDER BY position");
  const dropKeys = sql.prepare("DELETE FROM signing_keys");
  const addKey = sql.prepare("INSERT INTO signing_keys (position, public_key, since_ms, until_ms) VALUES (?, ?, ?, ?)");
  const members = sql.prepare("SELECT * FROM members ORDER BY instance");
  const member = sql.prepare("SELECT * FROM members WHERE instance = ?");
  const addMember = sql.prepare(
    `INSERT INTO members (instance, service, release, public_key, joined_at_ms, serial, until_ms, revoked_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const renewMember = sql.prepare("UPDATE members SET serial = ?, until_ms = ? WHERE instance = ?");
  const revokeMember = sql.prepare("UPDATE members SET revoked_at_ms = ? WHERE instance = ?");
  const forgetMembers = sql.prepare(
    "DELETE FROM members WHERE until_ms < ? AND instance NOT IN (SELECT value FROM json_each(?))",
  );
  const token = sql.prepare("SELECT * FROM join_tokens WHERE digest = ?");
  const addToken = sql.prepare(
    "INSERT INTO join_tokens (digest, instance, service, release, expires_at_ms) VALUES (?, ?, ?, ?, ?)",
  );
  const useToken = sql.prepare("UPDATE join_tokens SET used_by = ? WHERE digest = ?");
  const dropUnused = sql.prepare("DELETE FROM join_tokens WHERE instance = ? AND used_by IS NULL");
  const dropTokens = sql.prepare("DELETE FROM join_tokens WHERE instance = ?");
  const hasToken = sql.prepare("SELECT 1 FROM join_tokens WHERE instance = ? LIMIT 1");
  const forgetTokens = sql.prepare("DELETE FROM join_tokens WHERE expires_at_ms < ?");

  const memberOf = (instance: string): Member | undefined => {
    const row = database.read(() => member.get(instance)) as MemberRow | undefined;
    return row && toMember(row);
  };
  const tokenOf = (digest: string): TokenRow | undefined =>
    database.read(() => token.get(digest)) as TokenRow | undefined;
  const setCertificate = (instance: string, serial: number, untilMs: number): void => {
    renewMember.run(serial, untilMs, instance);
    raiseSerial.run(serial);
  };

  // Nothing comes between a look and the change after it: this process has the file for itself, and neither waits.
  return {
    load: async () =>
      database.read(() => {
        const row = state.get() as { epoch: number; last_serial: number };
        return {
          epoch: row.epoch,
          lastSerial: row.last_serial,
          keys: (keys.all() as unknown as KeyRow[]).map(toKey),
          members: (members.all() as unknown as MemberRow[]).map(toMember),
        };
      }),
    invite: async ({ digest, instance, service, release, expiresAtMs }) => {
      database.write(() => {
        dropUnused.run(instance);
        addToken.run(digest, instance, service, release, expiresAtMs);
      });
    },
    invitation: async (digest) => {
      const row = tokenOf(digest);
      return row ? { token: toToken(row), usedBy: row.used_by } : null;
    },
    join: async (digest, joining, because) => {
      const { instance, service, release, publicKey, joinedAtMs, serial, untilMs, revokedAtMs } = joining;
      const row = tokenOf(digest);
      if (row?.instance !== instance) return "none";
      const known = memberOf(instance);
      if ((row.used_by ?? publicKey) !== publicKey || (known && known.publicKey !== publicKey)) return "taken";
      if (known) {
        database.write(() => setCertificate(instance, serial, untilMs));
        return "again";
      }
      store(because, () => {
        useToken.run(publicKey, digest);
        addMember.run(instance, service, release, publicKey, joinedAtMs, serial, untilMs, revokedAtMs);
        raiseSerial.run(serial);
      });
      return "joined";
    },
    renew: async (instance, { serial, untilMs }) => {
      const known = memberOf(instance);
      if (!known || known.revokedAtMs !== null) return false;
      database.write(() => setCertificate(instance, serial, untilMs));
      return true;
    },
    revoke: async (instance, atMs, because) => {
      const known = memberOf(instance);
      if (known ? known.revokedAtMs !== null : !database.read(() => hasToken.get(instance))) return false;
      store(because, () => {
        revokeMember.run(atMs, instance);
        dropTokens.run(instance);
        raiseEpoch.run(0);
      });
      return true;
    },
    setKeys: async (next, because, aboveEpoch = 0) => {
      store(because, () => {
        dropKeys.run();
        for (const [index, { publicKey, sinceMs, untilMs }] of next.entries()) {
          addKey.run(index + 1, publicKey, sinceMs, untilMs);
        }
        raiseEpoch.run(aboveEpoch);
      });
    },
    forget: async ({ tokensMs, membersMs }, keep = []) => {
      database.write(() => {
        forgetTokens.run(tokensMs);
        forgetMembers.run(membersMs, JSON.stringify(keep));
      });
    },
  };
}

function toToken({ digest, instance, service, release, expires_at_ms: expiresAtMs }: TokenRow): JoinToken {
  return { digest, instance, service, release, expiresAtMs };
}

function toMember(row: MemberRow): Member {
  return {
    instance: row.instance,
    service: row.service,
    release: row.release,
    publicKey: row.public_key,
    joinedAtMs: row.joined_at_ms,
    serial: row.serial,
    untilMs: row.until_ms,
    revokedAtMs: row.revoked_at_ms,
  };
}

function toKey({ public_key: publicKey, since_ms: sinceMs, until_ms: untilMs }: KeyRow): SigningKey {
  return { publicKey, sinceMs, untilMs };
}
