import { effect } from "@preact/signals";
import { createAuditFeed } from "./audit-feed.ts";
import { api, listenToAudit } from "./connection.ts";
import { token } from "./store.ts";

/** The audit log as this page follows it. `crypto.subtle` is missing where a page is not served securely. */
export const auditFeed = createAuditFeed(api, globalThis.crypto?.subtle);

/** Follows the audit log for as long as somebody is signed in. */
export function followAudit(): void {
  listenToAudit({ entry: (entry) => auditFeed.take(entry), lost: () => auditFeed.begin() });
  effect(() => {
    if (token.value === null) auditFeed.end();
    else auditFeed.begin();
  });
}
