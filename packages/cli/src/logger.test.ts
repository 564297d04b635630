import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";

// A device whose every write fails as on a full disk. Linux alone has it.
test.skipIf(!existsSync("/dev/full"))("a full disk costs log lines and nothing else", () => {
  const logger = createLogger("test", "/dev/full");
  expect(() => {
    for (let line = 0; line < 100; line++) logger.info({ line }, "refused");
  }).not.toThrow();
});
