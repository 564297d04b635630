import { signOut } from "./data/connection.ts";
import { caller, nowMs } from "./data/store.ts";
import { Health } from "./health.tsx";
import { Told } from "./parts/told.tsx";
import { fragmentOf, route, type Route } from "./route.ts";
import { shownTheme, switchTheme } from "./theme.ts";
import { distance, fullTime } from "./words/figures.ts";

const PLACES: readonly { readonly name: string; readonly to: Route }[] = [
  { name: "Overview", to: { view: "overview", service: null } },
  { name: "Sessions", to: { view: "sessions", service: null, release: null } },
  { name: "Audit", to: { view: "audit", service: null } },
];

export function Header() {
  const { view } = route.value;
  return (
    <header class="top">
      <div class="top-row">
        <a class="brand" href={fragmentOf({ view: "overview", service: null })}>
          <span class="logo" aria-hidden="true" />
          Holdover
        </a>
        <nav aria-label="Views">
          {PLACES.map(({ name, to }) => (
            <a
              href={fragmentOf(to)}
              {...((view === to.view || (view === "session" && to.view === "sessions")) && {
                "aria-current": "page" as const,
              })}
            >
              {name}
            </a>
          ))}
        </nav>
        <Who />
      </div>
      <Health />
    </header>
  );
}

function Who() {
  const who = caller.value;
  const theme = shownTheme.value;
  return (
    <div class="who">
      {who && (
        <Told
          why={`You are signed in with the token ${who.name}: whatever you do here is in the audit log under that name. ${
            who.expiresAtMs === null ? "It does not expire." : `It expires at ${fullTime(who.expiresAtMs)}.`
          }`}
        >
          {who.name} <span class="quiet">· {who.role}</span>
          {who.expiresAtMs !== null && who.expiresAtMs - nowMs.value < 3_600_000 && (
            <span class="warn"> · expires {distance(who.expiresAtMs, nowMs.value)}</span>
          )}
        </Told>
      )}
      <button
        type="button"
        class="plain"
        aria-label={`Switch to the ${theme === "dark" ? "light" : "dark"} theme`}
        onClick={switchTheme}
      >
        <span class="theme-mark" aria-hidden="true" />
      </button>
      <button type="button" class="plain" onClick={() => signOut()}>
        Sign out
      </button>
    </div>
  );
}
