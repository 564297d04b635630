import { expect, test } from "vitest";
import type { AuditDraft } from "./audit-chain.ts";
import { isSought, nounOf, type AuditFilter } from "./audit-filter.ts";

const entry: AuditDraft = {
  atMs: 5,
  kind: "release.current",
  actor: "ana",
  reason: "a test wanted it",
  service: "chat",
  release: "v1",
};

test.each<[boolean, AuditFilter]>([
  [true, {}],
  [true, { service: "chat", release: "v1", kinds: ["instance.", "release."], sinceMs: 5 }],
  [true, { kinds: ["release.current"] }],
  [false, { service: "Chat" }],
  [false, { release: "v2" }],
  [false, { session: "a" }],
  [false, { kinds: [] }],
  [false, { kinds: ["release"] }],
  [false, { kinds: ["release.curr"] }],
  [false, { sinceMs: 5.1 }],
])("an entry is what is sought: %s, for %j", (sought, filter) => {
  expect(isSought(entry, filter)).toBe(sought);
});

test("the noun of a kind goes up to its dot", () => {
  expect(["release.rolled-back", "a", "", ".x"].map(nounOf)).toEqual(["release.", "", "", "."]);
});
