import { useSignal, type ReadonlySignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { asFailure, type ApiFailure } from "./api-call.ts";
import { isLive } from "./store.ts";

export interface Polled<Value> {
  /** What was answered last for this very question; null: nothing yet. */
  readonly value: ReadonlySignal<Value | null>;
  readonly failure: ReadonlySignal<ApiFailure | null>;
}

/**
 * Asks the API again and again for as long as a component is shown, the page is live and its window is seen.
 * @param question names what is asked: another one forgets the answer to the one before
 * @param everyMs from an answer to the next question
 * @param reach how much is asked of it: more is asked for at once, and until then the old answer stays
 */
export function usePolled<Value>(
  question: string,
  everyMs: number,
  reach: number,
  ask: (signal: AbortSignal) => Promise<Value>,
): Polled<Value> {
  const value = useSignal<Value | null>(null);
  const failure = useSignal<ApiFailure | null>(null);
  const live = isLive.value;
  useEffect(() => {
    value.value = null;
    failure.value = null;
  }, [question]);
  useEffect(() => {
    if (!live) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asking = false;
    const next = async (): Promise<void> => {
      clearTimeout(timer);
      if (asking || document.hidden) return;
      asking = true;
      try {
        const answer = await ask(stop.signal);
        if (stop.signal.aborted) return;
        value.value = answer;
        failure.value = null;
      } catch (error) {
        if (stop.signal.aborted) return;
        failure.value = asFailure(error);
      } finally {
        asking = false;
      }
      timer = setTimeout(() => void next(), everyMs);
    };
    const seen = (): void => void next();
    document.addEventListener("visibilitychange", seen);
    void next();
    return () => {
      document.removeEventListener("visibilitychange", seen);
      clearTimeout(timer);
      stop.abort();
    };
  }, [question, everyMs, reach, live]);
  return { value, failure };
}
