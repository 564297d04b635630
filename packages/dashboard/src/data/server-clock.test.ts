import { expect, test } from "vitest";
import { createServerClock } from "./server-clock.ts";

function clocks(wallMs: number) {
  const local = { passed: 100, wall: wallMs };
  const clock = createServerClock({ passedMs: () => local.passed, wallMs: () => local.wall });
  return {
    clock,
    pass: (ms: number) => {
      local.passed += ms;
      local.wall += ms;
    },
    setWall: (ms: number) => {
      local.wall = ms;
    },
  };
}

test("time is the server's, however wrong the local clock is, and goes on by what passes locally", () => {
  const { clock, pass } = clocks(5_000_000);
  clock.hear(1000);
  pass(2500);
  expect(clock.now()).toBe(3500);
});

test("a local clock that is set while the page is open changes no age", () => {
  const { clock, pass, setWall } = clocks(1000);
  clock.hear(1000);
  pass(500);
  setWall(9_999_999);
  expect(clock.now()).toBe(1500);
});

test("how far the clocks differ is told without the time that messages take", () => {
  const { clock, pass } = clocks(61_000);
  clock.hear(1000);
  pass(1000);
  // This one was 4 s on its way.
  pass(4000);
  clock.hear(2000);
  expect(clock.skewMs()).toBe(60_000);
});

test("a local clock that is behind is told of as that", () => {
  const { clock } = clocks(1000);
  clock.hear(8000);
  expect(clock.skewMs()).toBe(-7000);
});

test("a clock that was put right is told of as right once the old messages are forgotten", () => {
  const { clock, pass, setWall } = clocks(1000);
  clock.hear(61_000);
  setWall(61_000);
  for (let status = 0; status < 5; status++) {
    pass(1000);
    clock.hear(61_000 + (status + 1) * 1000);
  }
  expect(clock.skewMs()).toBe(0);
});
