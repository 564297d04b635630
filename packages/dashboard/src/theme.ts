import { signal } from "@preact/signals";

type Theme = "light" | "dark";

const KEPT = "holdover.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** What the page looks like now: the person's choice, or else what the system prefers. */
export const shownTheme = signal<Theme>("light");

export function followTheme(): void {
  const show = (): void => {
    const chosen = chosenTheme();
    shownTheme.value = chosen ?? (system.matches ? "dark" : "light");
    if (chosen) document.documentElement.dataset["theme"] = chosen;
    else delete document.documentElement.dataset["theme"];
  };
  system.addEventListener("change", show);
  addEventListener("storage", show);
  show();
}

export function switchTheme(): void {
  const next: Theme = shownTheme.value === "dark" ? "light" : "dark";
  const preferred = system.matches ? "dark" : "light";
  // Back at what the system prefers, it follows the system again.
  if (next === preferred) localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, next);
  shownTheme.value = next;
  if (next === preferred) delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = next;
}

function chosenTheme(): Theme | null {
  const kept = localStorage.getItem(KEPT);
  return kept === "light" || kept === "dark" ? kept : null;
}
