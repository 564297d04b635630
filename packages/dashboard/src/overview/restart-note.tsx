import type { ReleaseView } from "@holdover/control/api";
import { useSignal } from "@preact/signals";
import { asFailure, type ApiFailure } from "../data/api-call.ts";
import { api } from "../data/connection.ts";
import { barred } from "../data/store.ts";
import { Callout, Failure } from "../parts/callout.tsx";
import { Told } from "../parts/told.tsx";
import { counted, number } from "../words/figures.ts";

const CALL_OFF = "Instances that are not replaced yet stay as they are. Nobody is moved or cut by that.";

/** How a rolling restart goes on, with the way to call it off. */
export function RestartNote({ release: { service, restart } }: { readonly release: ReleaseView }) {
  const failure = useSignal<ApiFailure | null>(null);
  if (!restart) return null;
  const off = barred("deployer");
  async function callOff(): Promise<void> {
    try {
      failure.value = null;
      await api.stopRestart(service);
    } catch (error) {
      failure.value = asFailure(error);
    }
  }
  return (
    <Callout tone="warn">
      <p class="row">
        Being restarted, {counted(restart.batch, "instance")} at a time: {number(restart.leaving.length)} leaving,{" "}
        {number(restart.waiting.length)} waiting.
        <Told
          why={off ?? CALL_OFF}
          class="action"
          disabled={off !== null}
          {...(off === null && { onClick: () => void callOff() })}
        >
          Call it off
        </Told>
      </p>
      {failure.value && <Failure failure={failure.value} />}
    </Callout>
  );
}
