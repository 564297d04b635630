import { signal } from "@preact/signals";

/** An action that somebody is about to take, before it is settled how. */
export type Asked =
  | { readonly action: "deploy"; readonly service: string; readonly release?: string }
  | { readonly action: "promote" | "ramp" | "retire"; readonly service: string; readonly release: string }
  | { readonly action: "rollback"; readonly service: string; readonly release?: string }
  | { readonly action: "restart"; readonly service: string }
  | { readonly action: "move"; readonly service: string; readonly key: string };

/** The action whose dialog is open; null: none. */
export const asked = signal<Asked | null>(null);
