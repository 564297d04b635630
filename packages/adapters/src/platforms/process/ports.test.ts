import { expect, test } from "vitest";
import { createPorts } from "./ports.ts";

test("a port that the kernel offers again is not promised twice, until it is given back", async () => {
  const offers = [4001, 4001, 4002, 4001];
  const ports = createPorts(async () => offers.shift() ?? 0);
  expect(await ports.reserve()).toBe(4001);
  expect(await ports.reserve()).toBe(4002);
  ports.release(4001);
  expect(await ports.reserve()).toBe(4001);
});

test("ports are below those that the kernel gives to outgoing connections", async () => {
  const ports = createPorts();
  for (let count = 0; count < 20; count += 1) {
    const port = await ports.reserve();
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(32_768);
  }
});

test("a port that is known from elsewhere is not promised", async () => {
  const offers = [4001, 4002];
  const ports = createPorts(async () => offers.shift() ?? 0);
  ports.keep(4001);
  expect(await ports.reserve()).toBe(4002);
});

test("when nothing else is offered it is LISTEN_FAILED, and no endless search", async () => {
  const ports = createPorts(async () => 4001);
  await ports.reserve();
  await expect(ports.reserve()).rejects.toMatchObject({ code: "LISTEN_FAILED" });
});
