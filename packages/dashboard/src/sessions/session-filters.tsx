import type { ServiceView } from "@holdover/control/api";
import { go } from "../route.ts";
import type { SessionOrder } from "../data/api.ts";
import { Select } from "../parts/select.tsx";
import { order, search, state } from "./query.ts";

/** Characters that a session key may have. */
const KEY_MOST = 256;

interface SessionFiltersProps {
  readonly services: readonly ServiceView[];
  readonly service: string | null;
  readonly release: string | null;
}

export function SessionFilters({ services, service, release }: SessionFiltersProps) {
  const releases = services.find(({ name }) => name === service)?.releases ?? [];
  const held = releases.filter(({ instances, id }) => instances.length > 0 || id === release).toReversed();
  return (
    <div class="filters" role="search">
      <label class="grow">
        <span class="hidden">Search by a part of the session key</span>
        <input
          type="search"
          placeholder="Search by a part of the key"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          maxLength={KEY_MOST}
          value={search.value}
          onInput={(event) => (search.value = event.currentTarget.value)}
        />
      </label>
      <Select
        label="Service"
        value={service ?? ""}
        options={[["", "All services"], ...services.map(({ name }) => [name, name] as const)]}
        change={(name) => go({ view: "sessions", service: name === "" ? null : name, release: null })}
      />
      {service !== null && (
        <Select
          label="Release"
          value={release ?? ""}
          options={[["", "All releases"], ...held.map(({ id }) => [id, id] as const)]}
          change={(id) => go({ view: "sessions", service, release: id === "" ? null : id })}
        />
      )}
      <Select
        label="State"
        value={state.value}
        options={[
          ["", "Open and lingering"],
          ["open", "Open"],
          ["lingering", "Lingering"],
        ]}
        change={(value) => (state.value = value as typeof state.value)}
      />
      <Select
        label="Order"
        value={order.value}
        options={[
          ["oldest", "Oldest first"],
          ["newest", "Newest first"],
        ]}
        change={(value) => (order.value = value as SessionOrder)}
      />
    </div>
  );
}
