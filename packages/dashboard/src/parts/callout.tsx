import type { ComponentChildren } from "preact";
import type { ApiFailure } from "../data/api-call.ts";

export type Tone = "good" | "warn" | "bad" | "quiet";

interface CalloutProps {
  readonly tone: Tone;
  readonly children: ComponentChildren;
  /** Read out as soon as it appears. */
  readonly alert?: boolean;
}

export function Callout({ tone, children, alert = false }: CalloutProps) {
  return (
    <div class={`callout ${tone}`} {...(alert && { role: "alert" })}>
      {children}
    </div>
  );
}

/** What went wrong, and what to do next. */
export function Failure({ failure }: { readonly failure: Pick<ApiFailure, "code" | "what" | "next"> }) {
  return (
    <Callout tone="bad" alert>
      <p>
        <strong>{failure.what}</strong>
      </p>
      <p>
        {failure.next} <code class="quiet">{failure.code}</code>
      </p>
    </Callout>
  );
}
