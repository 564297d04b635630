import { configDefaults, defineConfig, type ViteUserConfig } from "vitest/config";

/** What `npm test` and `npm run test:browser` have in common. */
export const everywhere: NonNullable<ViteUserConfig["test"]> = {
  pool: "forks",
  expect: { poll: { timeout: 15_000 } },
  setupFiles: ["packages/testkit/src/leaks.ts", "packages/testkit/src/patience.ts"],
};

export default defineConfig({
  test: {
    ...everywhere,
    include: [
      "packages/*/src/**/*.test.ts",
      "packages/*/test/**/*.test.ts",
      "examples/*/test/**/*.test.ts",
      "scripts/**/*.test.ts",
    ],
    exclude: [...configDefaults.exclude, "packages/cli/test/browser/**"],
    // Two cores: more workers only make the tests that start real processes slower and their deadlines tighter.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
