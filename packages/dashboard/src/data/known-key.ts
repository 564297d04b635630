/** What this browser knows of the key that signs the audit log of this address. */
export type KeyNote =
  | { readonly kind: "first" }
  | { readonly kind: "same"; readonly sinceMs: number }
  | { readonly kind: "another"; readonly known: string };

const KNOWN = "holdover.audit-key";
const notes = new Map<string, KeyNote>();

/** Remembers the first key that it is shown, and tells another one from it. */
export function keyNote(publicKey: string): KeyNote {
  const noted = notes.get(publicKey);
  if (noted) return noted;
  const [known, since] = (localStorage.getItem(KNOWN) ?? "").split(" ");
  let note: KeyNote;
  if (!known) {
    localStorage.setItem(KNOWN, `${publicKey} ${Date.now()}`);
    note = { kind: "first" };
  } else {
    note = known === publicKey ? { kind: "same", sinceMs: Number(since) } : { kind: "another", known };
  }
  notes.set(publicKey, note);
  return note;
}
