import { barred, isLive } from "../data/store.ts";
import { Told } from "../parts/told.tsx";
import { asked, type Asked } from "./asked.ts";

const MEANINGS: Readonly<Record<Asked["action"], string>> = {
  deploy: "Takes up a new release of this service: copied, started, tried by its gate, then as you choose.",
  promote: "Makes this release the current one: new sessions start on it. No session is moved.",
  ramp: "Gives this release a share of the new sessions. No session is moved.",
  rollback: "Makes a retained release current again, at once: it never stopped running.",
  retire:
    "Ends this release before its window is over: its sessions are asked to move, and cut at the end of the grace.",
  restart: "Replaces the instances of the current release, batch by batch, by a plan that is shown first.",
  move: "Asks the clients of this session to reconnect, so that it is placed anew on the current release.",
};

interface ActionButtonProps {
  readonly ask: Asked;
  readonly children: string;
  readonly tone?: "primary" | "danger";
}

/** Opens the dialog of an action. Where it may not be taken, the button stays in its place and says why. */
export function ActionButton({ ask, children, tone }: ActionButtonProps) {
  const off = barred("deployer") ?? (isLive.value ? null : "The page is not live: wait until it is connected again.");
  if (off !== null) {
    return (
      <Told why={off} class="action off" disabled>
        {children}
      </Told>
    );
  }
  return (
    <Told why={MEANINGS[ask.action]} class={tone ? `action ${tone}` : "action"} onClick={() => (asked.value = ask)}>
      {children}
    </Told>
  );
}
