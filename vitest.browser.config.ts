import { defineConfig } from "vitest/config";
import { everywhere } from "./vitest.config.ts";

/** `npm run test:browser`: what only a real Chromium can show. One file after another: two cores are enough for one call. */
export default defineConfig({
  test: {
    ...everywhere,
    include: ["packages/cli/test/browser/**/*.test.ts"],
    maxWorkers: 1,
    testTimeout: 180_000,
    // Chromium may have to be installed, and a cluster to be started beside it.
    hookTimeout: 180_000,
    // Says the name of each test that was skipped.
    reporters: ["verbose"],
  },
});
