import { chain, type SoundChain } from "../data/audit-feed.ts";
import { auditFeed } from "../data/live-audit.ts";
import { keyNote } from "../data/known-key.ts";
import { isLive } from "../data/store.ts";
import { Callout, Failure } from "../parts/callout.tsx";
import { clockTime, moment, number } from "../words/figures.ts";
import { nowMs } from "../data/store.ts";

/** Whether the record holds, as far as this page has followed it; what that proves, and what it does not. */
export function ChainVerdict() {
  const now = chain.value;
  switch (now.kind) {
    case "reading":
      return (
        <Callout tone="quiet">
          <p role="status">Following the chain{now.seq > 0 ? `: entry ${number(now.seq)}` : ""}…</p>
        </Callout>
      );
    case "unable":
      return (
        <Callout tone="warn">
          <p>
            This browser offers no cryptography on this address, so the page cannot follow the chain. On the server,{" "}
            <code>holdover audit verify</code> does.
          </p>
        </Callout>
      );
    case "unread":
      return (
        <>
          <Failure failure={now.failure} />
          <Checks />
        </>
      );
    case "broken":
      return (
        <Callout tone="bad" alert>
          <p>
            <strong>The chain is broken at entry {number(now.seq)}:</strong> {now.problem}.
          </p>
          <p>
            From there on nothing vouches for what the log says. Keep a copy of <code>.holdover</code> as it is, and run{" "}
            <code>holdover audit verify</code> on the server.
          </p>
        </Callout>
      );
    case "sound":
      return <Sound sound={now} />;
  }
}

function Sound({ sound }: { readonly sound: SoundChain }) {
  const { from, head, signed, signature } = sound;
  const all = from.seq === 0;
  const note = keyNote(signed.publicKey);
  return (
    <>
      <Callout tone="good">
        <p>
          <strong>
            {head.seq === 0
              ? "The log is empty."
              : `${all ? "All entries" : "Entries"} ${number(from.seq + 1)} to ${number(head.seq)} hold.`}
          </strong>{" "}
          Each follows from the one before it by SHA-256, checked in this page as it came.{" "}
          {signature === "checked"
            ? `Control's signature over entry ${number(signed.seq)}, of ${clockTime(signed.atMs)}, is that of the key below.`
            : "This browser cannot check Ed25519, so the signature was not checked."}
        </p>
        {!all && <p>The {number(from.seq)} before them were not followed yet.</p>}
      </Callout>
      <Checks />
      <dl class="facts">
        <dt>Key</dt>
        <dd>
          <code class="wrap">{signed.publicKey}</code>
        </dd>
        <dt>Seen before</dt>
        <dd class={note.kind === "another" ? "bad" : ""}>
          {note.kind === "first" &&
            "No: this browser sees a key of this address for the first time, and will know it again."}
          {note.kind === "same" &&
            `Yes: the same as on ${moment(note.sinceMs, nowMs.value)}, when this browser first saw it.`}
          {note.kind === "another" &&
            `Another key than this browser knew, ${note.known}. Was the state directory replaced? If nobody knows why, do not trust this log.`}
        </dd>
      </dl>
      <details class="proof">
        <summary>What this proves, and what it does not</summary>
        <p>
          It proves that no entry among these was changed, removed, added or put elsewhere after it was hashed, unless
          whoever did it could sign anew with control's key. It does not prove that what control wrote was true, nor who
          holds the key: this page was told the key by the server that it checks. Compare it with{" "}
          <code>audit-key.pub</code> in the state directory, or with what <code>holdover audit verify</code> prints
          there. Entries after the signed one are chained, and are covered by the next signature.
        </p>
      </details>
    </>
  );
}

function Checks() {
  const off = !isLive.value;
  return (
    <p class="row">
      <button type="button" class="action" disabled={off} onClick={() => auditFeed.check(false)}>
        Check the signature up to now
      </button>
      <button type="button" class="action" disabled={off} onClick={() => auditFeed.check(true)}>
        Follow the whole chain
      </button>
    </p>
  );
}
