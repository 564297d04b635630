import { randomId } from "./numbered.ts";

export interface SessionOption {
  /** The name of the query parameter in which the service looks for the session key. */
  readonly query: string;
  /** Left out: the one in the URL, else the one kept for this tab, else a new random one. */
  readonly key?: string;
}

interface Page {
  readonly location?: { readonly href: string };
  readonly sessionStorage?: { getItem(name: string): string | null; setItem(name: string, value: string): void };
}

/**
 * Where to connect to, with the session key in it. In a browser the key is kept for the tab, so that a reload comes back
 * to its session.
 * @throws TypeError for a URL that is none, and for a scheme that is not ws, wss, http or https
 */
export function sessionUrl(
  url: string | URL,
  session: SessionOption | undefined,
): { readonly target: string; readonly key: string | null } {
  const page = globalThis as unknown as Page;
  const target = new URL(url, page.location?.href);
  target.protocol = target.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(target.protocol)) throw new TypeError(`${target.protocol} is not a scheme of WebSockets`);
  // A WebSocket's URL has no fragment; older browsers refuse one.
  target.hash = "";
  if (!session) return { target: target.href, key: null };
  const kept = `holdover:${target.host}${target.pathname}:${session.query}`;
  const key = session.key || target.searchParams.get(session.query) || stored(page, kept) || randomId();
  target.searchParams.set(session.query, key);
  try {
    page.sessionStorage?.setItem(kept, key);
  } catch {
    // Storage may be forbidden or full: then a reload begins a new session.
  }
  return { target: target.href, key };
}

function stored(page: Page, name: string): string | null {
  try {
    return page.sessionStorage?.getItem(name) ?? null;
  } catch {
    return null;
  }
}
