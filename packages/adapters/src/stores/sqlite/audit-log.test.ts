import { rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { AuditDraft, AuditFilter, AuditLog } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { auditLogConformance } from "@holdover/testkit/conformance/audit-log";
import { auditChain } from "./audit-log.ts";
import { searchOf } from "./audit-search.ts";
import { CONTROL_FILE, controlStoreOn, MAX_ENDED, openControlStore } from "./control-store.ts";
import { openDatabase } from "./database.ts";
import { scratchDir, scratchStore, type ScratchStore } from "./scratch-store.ts";

const scratch = () => scratchStore(CONTROL_FILE, (file) => controlStoreOn(file, MAX_ENDED).audit);

auditLogConformance("SQLite", async () => {
  const { store, reopen, refuseWrites, close } = scratch();
  return { log: store, reopen: async () => reopen(), refuseWrites, close };
});

it.each<[string, AuditFilter, readonly string[]]>([
  ["a session", { service: "chat", session: "a", kinds: ["release."] }, ["audit_by_session"]],
  ["kinds", { service: "chat", release: "v1", kinds: ["release.", "a.b", "a.c"] }, ["audit_by_noun", "audit_by_noun"]],
  ["a release", { service: "chat", release: "v1" }, ["audit_by_release"]],
  ["a service", { service: "chat" }, ["audit_by_service"]],
])(
  "Entries of %s are found by an index alone, in its order, from either end and since a time",
  (_, filter, indexes) => {
    const { database, close } = scratch();
    for (const page of ["last", { afterSeq: 5 }] as const) {
      for (const since of [{}, { sinceMs: 7 }]) {
        const search = searchOf({ ...filter, ...since }, page, 10);
        const plan = database()
          .sql.prepare(`EXPLAIN QUERY PLAN ${search?.text}`)
          .all(search?.values ?? {});
        const steps = plan.map((row) => String(row["detail"]));
        const found = steps.flatMap(
          (step) => /^SEARCH audit USING (?:COVERING )?INDEX (\w+) \(<expr>=/.exec(step)?.[1] ?? [],
        );
        expect(found).toEqual(indexes);
        expect(steps.filter((step) => step.startsWith("SCAN audit"))).toEqual([]);
      }
    }
    return close();
  },
);

it("Entries are found that were written before there were indexes; the chain is as it was, also where a text is unreadable", async () => {
  const { format } = CONTROL_FILE;
  const dir = scratchDir();
  const file = join(dir, "control.db");
  const before = { ...CONTROL_FILE, format: { ...format, steps: format.steps.slice(0, 4) } };
  const old = openDatabase(file, before);
  const { log } = auditChain(old);
  await log.append([draft("release.current"), draft("session.cut"), { ...draft("release.retired"), service: "chat" }]);
  const head = await log.head();
  old.sql.exec("INSERT INTO audit VALUES (4, 'no JSON', 'x')");
  old.close();
  const store = openControlStore(file);
  const seqs = async (filter: AuditFilter) => (await store.audit.tail(10, filter)).map(({ seq }) => seq);
  expect(await seqs({ kinds: ["release."] })).toEqual([1, 3]);
  expect(await seqs({ service: "chat" })).toEqual([3]);
  expect(await store.audit.head()).toEqual(head);
  await expect(store.audit.verify()).rejects.toMatchObject({ code: "AUDIT_BROKEN", details: { seq: 4 } });
  store.close();
  rmSync(dir, { recursive: true });
});

describe("The audit log in SQLite, tampered with", () => {
  let opened: ScratchStore<AuditLog>;
  beforeEach(async () => {
    opened = scratch();
    await opened.store.append([draft("a"), draft("b"), draft("c"), draft("d")]);
  });
  afterEach(() => opened.close());

  it.each([
    ["edited", 2, "UPDATE audit SET body = replace(body, 'planner', 'nobody') WHERE seq = 2"],
    ["given another hash", 3, "UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 3"],
    ["removed at the start", 1, "DELETE FROM audit WHERE seq = 1"],
    ["removed in the middle", 3, "DELETE FROM audit WHERE seq = 3"],
    ["removed at the end", 4, "DELETE FROM audit WHERE seq = 4"],
    ["removed, all of them", 1, "DELETE FROM audit"],
    [
      "removed and the later ones moved up",
      2,
      "DELETE FROM audit WHERE seq = 2; UPDATE audit SET seq = seq - 1 WHERE seq > 2",
    ],
    [
      "swapped",
      2,
      "UPDATE audit SET seq = -3 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = -3",
    ],
    ["added", 5, "INSERT INTO audit SELECT 5, body, hash FROM audit WHERE seq = 4"],
    ["removed, all of them and the head", 1, "DELETE FROM audit; DELETE FROM audit_head"],
  ])("does not verify after entries were %s", async (_, seq, tampering) => {
    const log = opened.reopen(() => {
      const other = new DatabaseSync(opened.file);
      other.exec(tampering);
      other.close();
    });
    await expect(log.verify()).rejects.toMatchObject({ code: "AUDIT_BROKEN", details: { seq } });
  });

  it("still takes entries after it was found broken", async () => {
    opened.database().sql.exec("DELETE FROM audit WHERE seq = 2");
    await expect(opened.store.verify()).rejects.toMatchObject({ code: "AUDIT_BROKEN" });
    await opened.store.append([draft("e")]);
    expect((await opened.store.tail(1))[0]).toMatchObject({ seq: 5, kind: "e" });
  });

  it("says which entry cannot be read", async () => {
    opened.database().sql.exec("UPDATE audit SET body = substr(body, 5) WHERE seq = 3");
    await expect(opened.store.read(0, 10)).rejects.toMatchObject({ code: "AUDIT_BROKEN", details: { seq: 3 } });
  });
});

function draft(kind: string): AuditDraft {
  return { atMs: 1, kind, actor: "planner", reason: "a test wanted it" };
}
