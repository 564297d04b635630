import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** A command to be run in a terminal, with a button that copies it. */
export function Command({ text }: { readonly text: string }) {
  const copied = useSignal(false);
  useEffect(() => {
    if (!copied.value) return;
    const timer = setTimeout(() => (copied.value = false), 2000);
    return () => clearTimeout(timer);
  }, [copied.value]);
  return (
    <div class="command">
      <code>{text}</code>
      <button
        type="button"
        class="plain"
        aria-label={`Copy the command ${text}`}
        onClick={() => {
          void navigator.clipboard.writeText(text).then(
            () => (copied.value = true),
            () => {},
          );
        }}
      >
        {copied.value ? "Copied" : "Copy"}
      </button>
      <span class="hidden" role="status">
        {copied.value ? "Copied" : ""}
      </span>
    </div>
  );
}
