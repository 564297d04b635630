import { useEffect } from "preact/hooks";
import { asked } from "./actions/asked.ts";
import { Audit } from "./audit/audit.tsx";
import { Sessions } from "./sessions/sessions.tsx";
import { SessionStory } from "./sessions/session-story.tsx";
import { ActionDialog } from "./actions/action-dialog.tsx";
import { freshness, isLive, status, token } from "./data/store.ts";
import { Header } from "./header.tsx";
import { Overview } from "./overview/overview.tsx";
import { Modal } from "./parts/modal.tsx";
import { Tip } from "./parts/told.tsx";
import { route } from "./route.ts";
import { SignInForm, SignInPage } from "./sign-in.tsx";
import { Connecting, Staleness } from "./staleness.tsx";

const TITLES = { overview: "Overview", sessions: "Sessions", session: "Session", audit: "Audit" } as const;

export function App() {
  const { view } = route.value;
  const stale = freshness.value.kind === "stale";
  useEffect(() => {
    document.title = `${stale ? "Not live · " : ""}${TITLES[view]} · Holdover`;
  }, [view, stale]);
  const signedIn = token.value !== null;
  if (!signedIn && status.value === null) return <SignInPage />;
  return (
    <div class={isLive.value ? "page" : "page stale"}>
      {/* Not by its address: that is where the person is in the page. */}
      <button type="button" class="skip" onClick={() => document.querySelector<HTMLElement>("#content")?.focus()}>
        Skip to the content
      </button>
      <Header />
      <Staleness />
      <main id="content" tabIndex={-1}>
        {status.value === null ? <Connecting /> : <View />}
      </main>
      {asked.value && <ActionDialog key={asked.value} asked={asked.value} />}
      {!signedIn && (
        <Modal title="Sign in again" firm onClose={() => {}}>
          <SignInForm />
        </Modal>
      )}
      <Tip />
    </div>
  );
}

function View() {
  const now = route.value;
  switch (now.view) {
    case "overview":
      return <Overview />;
    case "sessions":
      return <Sessions />;
    case "session":
      return <SessionStory service={now.service} of={now.key} />;
    case "audit":
      return <Audit />;
  }
}
