import { vi } from "vitest";

/** How long `vi.waitFor` waits where a test does not say: a busy machine is no failure. `expect.poll` has it in the configuration. */
const PATIENCE_MS = 15_000;

const { waitFor } = vi;
vi.waitFor = (check, options) => waitFor(check, options ?? { timeout: PATIENCE_MS });
