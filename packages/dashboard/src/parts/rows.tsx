import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Rows that are drawn above and below what is seen, so that a quick scroll shows no gap. */
const MARGIN_ROWS = 12;

interface RowsProps<Item> {
  readonly label: string;
  readonly items: readonly Item[];
  readonly keyOf: (item: Item) => string;
  /** Cells of a row. */
  readonly row: (item: Item) => ComponentChildren;
  /** Cells of the head. */
  readonly head: ComponentChildren;
  /** Height of every row, px. */
  readonly height: number;
  readonly class: string;
  /** The end of the list is seen. */
  readonly onEnd: () => void;
}

/** A table of any length, of which only what is seen is in the document. */
export function Rows<Item>({ label, items, keyOf, row, head, height, class: name, onEnd }: RowsProps<Item>) {
  const box = useRef<HTMLDivElement>(null);
  const first = useSignal(0);
  const fits = useSignal(30);
  const look = (): void => {
    const { scrollTop = 0, clientHeight = 0 } = box.current ?? {};
    first.value = Math.max(0, Math.floor(scrollTop / height) - MARGIN_ROWS);
    fits.value = Math.ceil(clientHeight / height) + 2 * MARGIN_ROWS;
  };
  useEffect(() => {
    look();
    const { current } = box;
    if (!current) return;
    const observer = new ResizeObserver(look);
    observer.observe(current);
    return () => observer.disconnect();
  }, [height]);
  const from = Math.min(first.value, Math.max(0, items.length - fits.value));
  const shown = items.slice(from, from + fits.value);
  const atEnd = from + fits.value >= items.length;
  useEffect(() => {
    if (atEnd && items.length > 0) onEnd();
  }, [atEnd, items.length]);
  return (
    <div class={`rows ${name}`} role="table" aria-label={label} aria-rowcount={items.length + 1}>
      <div role="rowgroup">
        <div class="row-head" role="row" aria-rowindex={1}>
          {head}
        </div>
      </div>
      <div ref={box} class="rows-scroll" role="rowgroup" tabIndex={0} aria-label={label} onScroll={look}>
        <div class="rows-all" role="presentation" style={{ height: `${items.length * height}px` }}>
          <div role="presentation" style={{ transform: `translateY(${from * height}px)` }}>
            {shown.map((item, index) => (
              <div
                key={keyOf(item)}
                class="row-one"
                role="row"
                aria-rowindex={from + index + 2}
                style={{ height: `${height}px` }}
              >
                {row(item)}
              </div>
            ))}
          </div>
        </div>
      </div>
    </div>
  );
}
