import type { AuditEntryView, CallerView, StatusView } from "@holdover/control/api";
import { effect } from "@preact/signals";
import { createApi } from "./api.ts";
import { ApiFailure, asFailure } from "./api-call.ts";
import { follow, type Following } from "./event-stream.ts";
import { SILENT_MS } from "./freshness.ts";
import {
  caller,
  everySecond,
  forget,
  hearBroken,
  hearOpen,
  hearStatus,
  serverClock,
  signedOutBecause,
  token,
} from "./store.ts";
import { codeIn, keepToken, keptToken } from "./token.ts";

/** The one place where the page meets the network and the browser's storage. */

export const api = createApi(
  (url, init) => fetch(url, init),
  () => token.value,
  (error) => {
    if (error instanceof ApiFailure && error.status === 401 && token.value !== null) signOut(reasonOf(error));
  },
);

/** What hears of new audit entries, and of that the log is another one than before. */
export interface AuditListener {
  entry(entry: AuditEntryView): void;
  lost(): void;
}
let auditListener: AuditListener = { entry() {}, lost() {} };
let following: Following | undefined;

export function listenToAudit(listener: AuditListener): void {
  auditListener = listener;
}

/** Signs in with what the address or this tab has, and follows the events for as long as somebody is signed in. */
export function connect(): void {
  setInterval(everySecond, 1000);
  const retry = (): void => following?.again();
  addEventListener("online", retry);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) retry();
  });
  effect(() => {
    const signedIn = token.value !== null;
    following?.stop();
    following = signedIn ? followEvents() : undefined;
  });

  const { code, rest } = codeIn(location.hash);
  if (code !== null) {
    history.replaceState(null, "", `${location.pathname}${location.search}${rest}`);
    void signInByCode(code);
  } else {
    const kept = keptToken(sessionStorage);
    // Not asked about first: where control is away for a moment, the stream tries until it is back.
    if (kept !== null) token.value = kept;
  }
}

async function signInByCode(code: string): Promise<void> {
  try {
    const { token: secret, ...who } = await api.signIn(code);
    take(secret, who);
  } catch (error) {
    const { what, next } = asFailure(error);
    signedOutBecause.value = `${what} ${next}`;
  }
}

/**
 * Takes a token once the API has said whose it is.
 * @throws ApiFailure where it is not valid, or nobody answers
 */
export async function signIn(secret: string): Promise<void> {
  take(secret, await api.me(secret));
}

function take(secret: string, who: CallerView): void {
  keepToken(sessionStorage, secret);
  signedOutBecause.value = null;
  caller.value = who;
  token.value = secret;
}

/** @param reason left out: the person wanted it, and nothing of what was shown stays */
export function signOut(reason?: string): void {
  // It is forgotten here in any case; that nobody else can use it any more is what the call is for.
  if (reason === undefined) void api.signOut().catch(() => {});
  keepToken(sessionStorage, null);
  token.value = null;
  signedOutBecause.value = reason ?? null;
  if (reason === undefined) forget();
}

function reasonOf(failure: ApiFailure): string {
  return caller.value?.expiresAtMs != null && caller.value.expiresAtMs <= serverClock.now()
    ? `Your token ${caller.value.name} has expired.`
    : failure.what;
}

function followEvents(): Following {
  return follow(
    {
      open: (lastId, signal) =>
        api.open({
          path: "v1/events",
          query: { status: true },
          ...(lastId !== null && { headers: { "last-event-id": lastId } }),
          signal,
        }),
      onOpen() {
        hearOpen();
        if (caller.value === null)
          void api.me().then(
            (who) => (caller.value = who),
            () => {},
          );
      },
      onEvent({ name, data }) {
        if (name === "status") hearStatus(JSON.parse(data) as StatusView);
        else if (name === "audit") auditListener.entry(JSON.parse(data) as AuditEntryView);
      },
      onBroken(failure, againInMs) {
        hearBroken(failure, againInMs ?? 0);
      },
      onLost: () => auditListener.lost(),
      after(ms, run) {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
      random: Math.random,
      silentMs: SILENT_MS,
    },
    null,
  );
}
