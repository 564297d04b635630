import { createHmac } from "node:crypto";
import type { AuditSink } from "@holdover/core";

export interface WebhookOptions {
  readonly url: string;
  /** Known to both ends. */
  readonly secret: string;
}

/**
 * Posts the audit log as `{ "entries": […] }`. The header `holdover-signature-256` is `sha256=` and the HMAC-SHA256 of the
 * body under the secret, in hex. Any answer of 2xx says that the entries are taken in; the same ones may come again, and
 * are known by their `seq`. Redirects are not followed: they would lead the log elsewhere.
 */
export function webhookSink({ url, secret }: WebhookOptions): AuditSink {
  const { origin, pathname } = new URL(url);
  return {
    // Without the query: it may have a key in it.
    name: `webhook ${origin}${pathname}`,
    deliver: async (entries, givenUp) => {
      const abort = new AbortController();
      void givenUp.then(() => abort.abort());
      const body = JSON.stringify({ entries });
      const signature = createHmac("sha256", secret).update(body).digest("hex");
      const answer = await fetch(url, {
        method: "POST",
        body,
        headers: { "content-type": "application/json", "holdover-signature-256": `sha256=${signature}` },
        redirect: "manual",
        signal: abort.signal,
      }).catch((thrown: unknown) => {
        // What fetch says itself is only that it failed.
        throw thrown instanceof TypeError && thrown.cause instanceof Error ? thrown.cause : thrown;
      });
      // Nobody reads what it has to say; unread it would hold the connection.
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`it answered with ${answer.status}`);
    },
  };
}
