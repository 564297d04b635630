import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["packages/*/src/**/*.test.ts", "packages/*/test/**/*.test.ts", "scripts/**/*.test.ts"],
    // Two cores: more workers only make the tests that start real processes slower and their deadlines tighter.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: "forks",
    expect: { poll: { timeout: 15_000 } },
    setupFiles: ["packages/testkit/src/leaks.ts", "packages/testkit/src/patience.ts"],
  },
});
