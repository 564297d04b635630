import type { ServiceView } from "@holdover/control/api";
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Ages } from "../charts/ages.tsx";
import { Lengths } from "../charts/lengths.tsx";
import { api } from "../data/connection.ts";
import { usePolled } from "../data/poll.ts";
import { Failure } from "../parts/callout.tsx";

const AGES_EVERY_MS = 5000;
/** The estimate that lengths come from is made anew every few minutes; what is live changes all the time. */
const LENGTHS_EVERY_MS = 30_000;

/** Which of the two are unfolded, in every service alike. */
const unfolded = signal({ ages: false, lengths: false });

/** How old the sessions of a service are, and how long sessions last. */
export function Lives({ service }: { readonly service: ServiceView }) {
  return (
    <div class="lives">
      <Fold name="ages" title="How old its sessions are">
        <AgesNow service={service} />
      </Fold>
      <Fold name="lengths" title="How long its sessions last">
        <LengthsNow service={service} />
      </Fold>
    </div>
  );
}

interface FoldProps {
  readonly name: keyof typeof unfolded.value;
  readonly title: string;
  readonly children: ComponentChildren;
}

function Fold({ name, title, children }: FoldProps) {
  const open = unfolded.value[name];
  return (
    <section class="live-only">
      <h3>
        <button
          type="button"
          class="bare fold-head"
          aria-expanded={open}
          onClick={() => (unfolded.value = { ...unfolded.value, [name]: !open })}
        >
          <span class="chevron" aria-hidden="true" />
          {title}
        </button>
      </h3>
      {open && children}
    </section>
  );
}

function AgesNow({ service }: { readonly service: ServiceView }) {
  const polled = usePolled(service.name, AGES_EVERY_MS, 0, (signal) => api.ages(service.name, signal));
  const failure = polled.failure.value;
  return failure ? <Failure failure={failure} /> : <Ages ages={polled.value.value ?? undefined} service={service} />;
}

function LengthsNow({ service }: { readonly service: ServiceView }) {
  const polled = usePolled(service.name, LENGTHS_EVERY_MS, 0, (signal) => api.lengths(service.name, signal));
  const failure = polled.failure.value;
  return failure ? (
    <Failure failure={failure} />
  ) : (
    <Lengths lengths={polled.value.value ?? undefined} service={service} />
  );
}
