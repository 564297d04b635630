import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** What is explained now, and where on the page that stands. */
const shown = signal<{ readonly anchor: Element; readonly text: string } | null>(null);

interface ToldProps {
  /** What it means and where it comes from, in a sentence or two. */
  readonly why: string;
  readonly children: ComponentChildren;
  readonly class?: string | undefined;
  /** What it does besides, where it is a button for something. */
  readonly onClick?: () => void;
  /** It would be a button for something, and `why` says why it is not now. It can be focused all the same. */
  readonly disabled?: boolean;
}

/** A number or a word that explains itself: on hover, on focus, and to a screen reader. */
export function Told({ why, children, class: name, onClick, disabled }: ToldProps) {
  const show = (event: Event): void => {
    shown.value = { anchor: event.currentTarget as Element, text: why };
  };
  const hide = (event: Event): void => {
    if (shown.peek()?.anchor === event.currentTarget) shown.value = null;
  };
  return (
    <button
      type="button"
      class={name ?? "told"}
      aria-description={why}
      {...(disabled && { "aria-disabled": true })}
      onMouseEnter={show}
      onMouseLeave={hide}
      onFocus={show}
      onBlur={hide}
      onClick={(event) => {
        if (!onClick) {
          show(event);
          return;
        }
        shown.value = null;
        onClick();
      }}
    >
      {children}
    </button>
  );
}

/** Pixels between what is explained and the explanation, and from there to the edge of the window. */
const GAP = 6;
const EDGE = 8;

/** Where explanations are shown; once in the page. */
export function Tip() {
  const box = useRef<HTMLDivElement>(null);
  const now = shown.value;
  useEffect(() => {
    const tip = box.current;
    if (!tip || !now) return;
    // Shown anew each time, so that it lies on top of a dialog that was opened meanwhile.
    tip.showPopover();
    const at = now.anchor.getBoundingClientRect();
    const { width, height } = tip.getBoundingClientRect();
    const below = at.bottom + GAP + height < innerHeight - EDGE;
    const left = Math.min(Math.max(EDGE, at.left + at.width / 2 - width / 2), innerWidth - width - EDGE);
    tip.style.left = `${Math.round(left)}px`;
    tip.style.top = `${Math.round(below ? at.bottom + GAP : Math.max(EDGE, at.top - GAP - height))}px`;
    const hide = (): void => {
      shown.value = null;
    };
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      // The explanation goes, and the dialog that it stands in stays.
      event.preventDefault();
      event.stopPropagation();
      hide();
    };
    addEventListener("keydown", onKey, true);
    addEventListener("scroll", hide, { capture: true, passive: true });
    return () => {
      removeEventListener("keydown", onKey, true);
      removeEventListener("scroll", hide, true);
      if (tip.matches(":popover-open")) tip.hidePopover();
    };
  }, [now]);
  // A screen reader has the description of what is explained; this would only say it twice.
  return (
    <div ref={box} class="tip" popover="manual" aria-hidden="true">
      {now?.text}
    </div>
  );
}
