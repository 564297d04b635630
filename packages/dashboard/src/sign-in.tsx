import { useSignal } from "@preact/signals";
import type { ApiFailure } from "./data/api-call.ts";
import { asFailure } from "./data/api-call.ts";
import { signIn } from "./data/connection.ts";
import { signedOutBecause } from "./data/store.ts";
import { Callout, Failure } from "./parts/callout.tsx";

/** Asks for a token, and says why where the page had one before. */
export function SignInForm() {
  const secret = useSignal("");
  const busy = useSignal(false);
  const failure = useSignal<ApiFailure | null>(null);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const given = secret.value.trim();
    if (given === "" || busy.value) return;
    busy.value = true;
    failure.value = null;
    try {
      // A header takes printable ASCII only; anything else is no token, and fetch would only say "invalid value".
      await signIn(given.replaceAll(/[^\x21-\x7e]/g, "?"));
    } catch (error) {
      failure.value = asFailure(error);
    } finally {
      busy.value = false;
    }
  }

  return (
    <form class="sign-in" onSubmit={(event) => void submit(event)}>
      {signedOutBecause.value !== null && !failure.value && (
        <Callout tone="warn" alert>
          <p>{signedOutBecause.value}</p>
        </Callout>
      )}
      {failure.value && <Failure failure={failure.value} />}
      <label for="token">Token</label>
      <input
        id="token"
        type="password"
        autocomplete="off"
        spellcheck={false}
        maxLength={500}
        required
        value={secret.value}
        onInput={(event) => (secret.value = event.currentTarget.value)}
        aria-describedby="token-where"
      />
      <button type="submit" class="action primary" disabled={busy.value}>
        {busy.value ? "Signing in…" : "Sign in"}
      </button>
      <p id="token-where" class="quiet">
        On the server, <code>.holdover/api-token</code> has one;{" "}
        <code>holdover token create --role viewer --name you</code> makes another. It is kept for this tab alone, until
        you close it or sign out.
      </p>
    </form>
  );
}

/** The whole page for whoever is nobody yet. */
export function SignInPage() {
  return (
    <main class="alone">
      <div class="panel">
        <h1>
          <span class="logo" aria-hidden="true" /> Holdover
        </h1>
        <p>Ships a new release without ending a live session. Sign in to see what is live.</p>
        <SignInForm />
      </div>
    </main>
  );
}
