import type { ReleaseState, Restart } from "./release.ts";

/** One step towards what should be. Each is safe to take twice: what it sees may have changed since it was planned. */
export type Action =
  | { readonly do: "snapshot"; readonly service: string; readonly release: string }
  | { readonly do: "start"; readonly service: string; readonly release: string; readonly ordinal: number }
  /** What sessions keep is tried in the release's own process. */
  | { readonly do: "formats"; readonly service: string; readonly release: string }
  | { readonly do: "gate"; readonly service: string; readonly release: string; readonly instance: string }
  | {
      readonly do: "transition";
      readonly service: string;
      readonly release: string;
      readonly to: ReleaseState;
      readonly why: string;
    }
  /** The window of a retained release ends at another time than was said before. */
  | {
      readonly do: "deadline";
      readonly service: string;
      readonly release: string;
      readonly deadlineMs: number;
      readonly why: string;
    }
  /** A rolling restart goes on; null: it is done. */
  | {
      readonly do: "restart";
      readonly service: string;
      readonly release: string;
      readonly restart: Restart | null;
      readonly why: string;
    }
  | { readonly do: "cutover"; readonly service: string; readonly release: string; readonly why: string }
  | {
      readonly do: "fail";
      readonly service: string;
      readonly release: string;
      readonly instance: string;
      readonly code: string;
      readonly problem: string;
    }
  /** Stop an instance if it holds no session at the moment of stopping. */
  | {
      readonly do: "stop";
      readonly service: string;
      readonly instance: string;
      readonly graceMs: number;
      readonly why: string;
    }
  | { readonly do: "remove-snapshot"; readonly service: string; readonly release: string };
