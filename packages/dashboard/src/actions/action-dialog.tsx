import type { PreviewRequest, PreviewView } from "@holdover/control/api";
import { useSignal } from "@preact/signals";
import type { ApiFailure } from "../data/api-call.ts";
import { asFailure } from "../data/api-call.ts";
import { api } from "../data/connection.ts";
import { barred, isLive, serverClock, status } from "../data/store.ts";
import { Callout, Failure } from "../parts/callout.tsx";
import { Modal } from "../parts/modal.tsx";
import { counted } from "../words/figures.ts";
import { asked as open, type Asked } from "./asked.ts";
import { carryOut, firstDraft, orderOf, type Draft } from "./draft.ts";
import { Effects } from "./effects.tsx";
import { Fields } from "./fields.tsx";
import { useLivePreview } from "./preview.ts";
import { Progress } from "./progress.tsx";

/** Where an action is: asked about, being done, done as far as the call goes. */
type Stage =
  | { readonly at: "form" }
  | { readonly at: "sending" }
  | { readonly at: "sent"; readonly request: PreviewRequest; readonly sinceMs: number; readonly answer: string | null };

/** Settles an action: how, what it would do, the word that a dangerous one asks for, and what became of it. */
export function ActionDialog({ asked }: { readonly asked: Asked }) {
  const service = status.value?.services.find(({ name }) => name === asked.service);
  const draft = useSignal<Draft>(firstDraft(asked, service));
  const stage = useSignal<Stage>({ at: "form" });
  const failure = useSignal<ApiFailure | null>(null);
  const typed = useSignal("");
  const order = orderOf(asked, draft.value);
  const preview = useLivePreview(asked.service, stage.value.at === "form" && "request" in order ? order.request : null);
  const view = preview.view.value;
  const close = (): void => {
    open.value = null;
  };
  const off = offBecause(order, view, typed.value);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    if (off !== null || !("request" in order) || stage.value.at !== "form") return;
    const sinceMs = serverClock.now();
    stage.value = { at: "sending" };
    failure.value = null;
    try {
      const answer = await carryOut(api, asked.service, order.request, draft.value);
      stage.value = { at: "sent", request: order.request, sinceMs, answer };
    } catch (error) {
      failure.value = asFailure(error);
      stage.value = { at: "form" };
    }
  }

  return (
    <Modal title={titleOf(asked)} onClose={close}>
      {stage.value.at === "sent" ? (
        <>
          <Progress service={asked.service} {...stage.value} />
          <div class="row end">
            <button type="button" class="action primary" onClick={close} ref={(button) => button?.focus()}>
              Close
            </button>
          </div>
        </>
      ) : (
        <form onSubmit={(event) => void submit(event)} noValidate>
          <Fields
            asked={asked}
            service={service}
            draft={draft.value}
            change={(part) => (draft.value = { ...draft.value, ...part })}
          />
          {failure.value && <Failure failure={failure.value} />}
          {preview.failure.value && <Failure failure={preview.failure.value} />}
          {view ? <Effects preview={view} /> : <Waiting order={order} />}
          {view?.confirm != null && !view.problem && (
            <div class="field confirm">
              <label for="confirm">
                {confirmWords(view)} Type <code>{view.confirm}</code> to go on.
              </label>
              <input
                id="confirm"
                type="text"
                autocomplete="off"
                autocapitalize="off"
                spellcheck={false}
                value={typed.value}
                onInput={(event) => (typed.value = event.currentTarget.value)}
              />
            </div>
          )}
          <div class="row end">
            {off !== null && (
              <span class="quiet" id="off-because">
                {off}
              </span>
            )}
            <button type="button" class="action" onClick={close}>
              Cancel
            </button>
            <button
              type="submit"
              class={`action ${(view?.cuts ?? 0) > 0 ? "danger" : "primary"}`}
              {...(off !== null && { "aria-disabled": true, "aria-describedby": "off-because" })}
            >
              {stage.value.at === "sending" ? "Working…" : submitWords(asked, view)}
            </button>
          </div>
        </form>
      )}
    </Modal>
  );
}

function Waiting({ order }: { readonly order: ReturnType<typeof orderOf> }) {
  return (
    <Callout tone="quiet">
      <p>{"missing" in order ? order.missing : "Asking what it would do…"}</p>
    </Callout>
  );
}

/** Why it cannot be done now; null: it can. */
function offBecause(order: ReturnType<typeof orderOf>, view: PreviewView | null, typed: string): string | null {
  if ("missing" in order) return order.missing;
  const may = barred("deployer");
  if (may !== null) return may;
  if (!isLive.value) return "The page is not live.";
  if (!view) return "Its effect is not known yet.";
  if (view.problem) return "It would be refused now.";
  return view.confirm !== null && typed.trim() !== view.confirm ? `Type ${view.confirm} first.` : null;
}

function confirmWords({ cuts, moves }: PreviewView): string {
  if (cuts === null) return "How many sessions this ends is not known.";
  if (cuts > 0) return `This may end ${counted(cuts, "session")} by force.`;
  return moves !== null && moves > 0 ? `This asks ${counted(moves, "session")} to move.` : "This may end sessions.";
}

function titleOf(asked: Asked) {
  switch (asked.action) {
    case "deploy":
      return <>Deploy a release of {asked.service}</>;
    case "promote":
      return <>Promote {asked.release}</>;
    case "ramp":
      return <>Ramp {asked.release}</>;
    case "rollback":
      return <>Roll back {asked.service}</>;
    case "retire":
      return <>Expire {asked.release}</>;
    case "restart":
      return <>Restart the current release of {asked.service}</>;
    case "move":
      return (
        <>
          Move <bdi>{asked.key}</bdi>
        </>
      );
  }
}

function submitWords({ action }: Asked, view: PreviewView | null): string {
  const words = {
    deploy: "Deploy",
    promote: "Promote",
    ramp: "Ramp",
    rollback: "Roll back",
    retire: "Expire",
    restart: "Restart",
    move: "Move",
  }[action];
  const cuts = view?.cuts ?? 0;
  return cuts > 0 ? `${words}, ending up to ${counted(cuts, "session")}` : words;
}
