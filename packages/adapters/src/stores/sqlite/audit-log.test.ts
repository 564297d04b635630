import { DatabaseSync } from "node:sqlite";
import type { AuditDraft, AuditLog } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { auditLogConformance } from "@holdover/testkit/conformance/audit-log";
import { CONTROL_FILE, controlStoreOn, MAX_ENDED } from "./control-store.ts";
import { scratchStore, type ScratchStore } from "./scratch-store.ts";

const scratch = () => scratchStore(CONTROL_FILE, (file) => controlStoreOn(file, MAX_ENDED).audit);

auditLogConformance("SQLite", async () => {
  const { store, reopen, refuseWrites, close } = scratch();
  return { log: store, reopen: async () => reopen(), refuseWrites, close };
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
