import type { PreviewRequest, PreviewView } from "@holdover/control/api";
import { useSignal, type ReadonlySignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { asFailure, type ApiFailure } from "../data/api-call.ts";
import { api } from "../data/connection.ts";

/** How long the form has to be still before it is asked what it would do, ms. */
const STILL_MS = 250;
/** How often that is asked anew, ms: sessions come and go while somebody reads. */
const AGAIN_MS = 3000;

export interface LivePreview {
  /** Of this very request; null: not known yet. */
  readonly view: ReadonlySignal<PreviewView | null>;
  readonly failure: ReadonlySignal<ApiFailure | null>;
}

/** What an action would do, kept up to date for as long as it is only asked about. @param request null: nothing to ask */
export function useLivePreview(service: string, request: PreviewRequest | null): LivePreview {
  const view = useSignal<PreviewView | null>(null);
  const failure = useSignal<ApiFailure | null>(null);
  const text = JSON.stringify(request);
  useEffect(() => {
    // What is told of another request must not be agreed to for this one.
    view.value = null;
    failure.value = null;
    const wanted = JSON.parse(text) as PreviewRequest | null;
    if (!wanted) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const ask = async (): Promise<void> => {
      try {
        view.value = await api.preview(service, wanted, stop.signal);
        failure.value = null;
      } catch (error) {
        if (stop.signal.aborted) return;
        failure.value = asFailure(error);
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void ask(), AGAIN_MS);
    };
    timer = setTimeout(() => void ask(), STILL_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [service, text]);
  return { view, failure };
}
