import type { AuditDraft, SessionEvent } from "@holdover/core";

/** The entries that a session's event leaves: none where a session ended by itself; those are in the history. */
export function auditOf(event: SessionEvent): AuditDraft[] {
  const pin = event.kind === "ended" ? event.session : event.pin;
  const draft = (kind: string, reason: string, detail: Record<string, string | number>): AuditDraft => ({
    atMs: event.atMs,
    kind: `session.${kind}`,
    actor: "router",
    reason,
    service: pin.service,
    release: pin.release,
    instance: pin.instance,
    session: pin.key,
    detail: { fence: pin.fence, ...detail },
  });
  switch (event.kind) {
    case "disrupted":
      return [draft("disrupted", "its instance died", { connections: event.connections })];
    case "placed-anew":
      return [draft("placed-anew", "somebody came back to it", { from: event.from })];
    case "ended": {
      const { reason, connectionsClosed } = event.session;
      if (reason === "hangup" || reason === "expired") return [];
      const why = {
        moved:
          "asked to connect again: its release, its instance or its connection is being left, or it was moved by word",
        cut: "ended by force",
        lost: "nobody came back after its instance died",
      };
      return [draft(reason, why[reason], { connectionsClosed })];
    }
  }
}
