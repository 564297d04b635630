import type { ServiceView } from "@holdover/control/api";
import { signal } from "@preact/signals";
import { status } from "../data/store.ts";
import { Command } from "../parts/copy.tsx";

const DISMISSED = "holdover.first-steps";
const dismissed = signal(localStorage.getItem(DISMISSED) !== null);

/** What to try next, for as long as nothing or only one release has ever been there. */
export function FirstSteps({ services }: { readonly services: readonly ServiceView[] }) {
  const releases = services.flatMap((service) => service.releases);
  if (releases.length === 0) {
    return (
      <section class="panel first" aria-labelledby="first-title">
        <h2 id="first-title">Nothing is deployed yet</h2>
        <p>
          A service is declared in <code>holdover.yaml</code>. <code>holdover init</code> asks three questions and
          writes one; <code>holdover up</code> starts what it declares.
        </p>
        <div class="commands">
          <Command text="npx holdover init" />
          <Command text="npx holdover up" />
          <Command text="npx holdover deploy SERVICE --release v2 --dir DIR" />
        </div>
      </section>
    );
  }
  const [only] = services;
  if (dismissed.value || releases.length > 1 || !only?.current) return null;
  const [first] = only.releases;
  // The sample of the repository has its next release beside it; of any other service nobody knows where that is.
  const dir = first?.dir.endsWith("/examples/rooms") ? "examples/rooms-v2" : "DIR";
  const address = status.value?.router.address ?? "the router's address";
  return (
    <section class="panel first" aria-labelledby="first-title">
      <header>
        <h2 id="first-title">Try this next</h2>
        <button
          type="button"
          class="plain"
          onClick={() => {
            localStorage.setItem(DISMISSED, "1");
            dismissed.value = true;
          }}
        >
          Dismiss
        </button>
      </header>
      <p>
        Open the service at <code>{address}</code> in two windows. Then ship a second release while they talk: this page
        shows the old one keeping its sessions and the new one taking the new ones.
      </p>
      <div class="commands">
        <Command text={`npx holdover deploy ${only.name} --release v2 --dir ${dir}`} />
        <Command text="npx holdover status -w" />
        <Command text={`npx holdover rollback ${only.name}`} />
      </div>
    </section>
  );
}
