import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { counted } from "../words/figures.ts";

/** The first so many of a list, and a button that shows the others. */
export function useFirst<Item>(
  items: readonly Item[],
  many: number,
  one: string,
): [shown: readonly Item[], more: ComponentChildren] {
  const [all, setAll] = useState(false);
  if (items.length <= many) return [items, null];
  const more = (
    <button type="button" class="plain fold" aria-expanded={all} onClick={() => setAll(!all)}>
      {all ? `Show ${many} only` : `Show ${counted(items.length - many, `more ${one}`)}`}
    </button>
  );
  return [all ? items : items.slice(0, many), more];
}
