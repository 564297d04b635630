/** Where a token is kept for as long as this tab is open; nowhere that another tab, or the disk after it, has it. */
export type Keep = Pick<Storage, "getItem" | "setItem" | "removeItem">;

const TOKEN = "holdover.token";

export function keptToken(keep: Keep): string | null {
  return keep.getItem(TOKEN);
}

export function keepToken(keep: Keep, token: string | null): void {
  if (token === null) keep.removeItem(TOKEN);
  else keep.setItem(TOKEN, token);
}

/**
 * The code of a sign-in link, `#code=…`, and the fragment without it. The fragment of an address is sent to nobody; it is
 * taken out at once all the same, as it would stay in the history.
 */
export function codeIn(fragment: string): { readonly code: string | null; readonly rest: string } {
  const parts = fragment.replace(/^#/, "").split("&");
  const found = parts.find((part) => part.startsWith("code="));
  if (found === undefined) return { code: null, rest: fragment };
  const rest = parts.filter((part) => part !== found).join("&");
  return { code: decoded(found.slice("code=".length)), rest: rest === "" ? "" : `#${rest}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
