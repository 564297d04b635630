import type { ApiToken, Role, TokenStore } from "@holdover/core";
import type { StoreWithAudit } from "./audit-log.ts";
import type { Database } from "./database.ts";

interface Row {
  readonly name: string;
  readonly role: Role;
  readonly digest: string;
  readonly created_at_ms: number;
  readonly expires_at_ms: number | null;
}

export function tokenStore(database: Database, store: StoreWithAudit): TokenStore {
  const { sql } = database;
  const all = sql.prepare("SELECT * FROM tokens ORDER BY name");
  const named = sql.prepare("SELECT 1 FROM tokens WHERE name = ?");
  const insert = sql.prepare(
    "INSERT INTO tokens (name, role, digest, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?)",
  );
  const remove = sql.prepare("DELETE FROM tokens WHERE name = ?");
  const has = (name: string): boolean => database.read(() => named.get(name)) !== undefined;
  // Nothing comes between the look and the change: this process has the file for itself, and neither waits.
  return {
    list: async () => database.read(() => (all.all() as unknown as Row[]).map(tokenOf)),
    create: async ({ name, role, digest, createdAtMs, expiresAtMs }, because) => {
      if (has(name)) return false;
      store(because, () => insert.run(name, role, digest, createdAtMs, expiresAtMs));
      return true;
    },
    revoke: async (name, because) => {
      if (!has(name)) return false;
      store(because, () => remove.run(name));
      return true;
    },
  };
}

function tokenOf({ name, role, digest, created_at_ms: createdAtMs, expires_at_ms: expiresAtMs }: Row): ApiToken {
  return { name, role, digest, createdAtMs, expiresAtMs };
}
