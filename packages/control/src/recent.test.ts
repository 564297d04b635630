import { expect, test } from "vitest";
import { Recent } from "./recent.ts";

function recent() {
  let nowMs = 5000;
  let made = 0;
  const answers = new Recent<number>(1000, { now: () => nowMs });
  return {
    ask: (what = "a") => answers.of(what, async () => (made += 1)),
    fail: () => answers.of("a", () => Promise.reject(new Error("no"))),
    pass: (ms: number) => void (nowMs += ms),
  };
}

test("an answer is given again while it is young, to those who ask meanwhile too, and made anew after that", async () => {
  const { ask, pass } = recent();
  expect(await Promise.all([ask(), ask()])).toEqual([1, 1]);
  pass(999);
  expect(await ask()).toBe(1);
  expect(await ask("b")).toBe(2);
  pass(1);
  expect(await ask()).toBe(3);
  pass(-1);
  expect(await ask()).toBe(4);
});

test("an answer that failed is not kept, and takes none along that came after it", async () => {
  const { ask, fail, pass } = recent();
  await expect(fail()).rejects.toThrow("no");
  expect(await ask()).toBe(1);
  pass(1000);
  const failing = fail();
  pass(1000);
  expect(await ask()).toBe(2);
  await expect(failing).rejects.toThrow("no");
  expect(await ask()).toBe(2);
});
