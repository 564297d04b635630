import { join } from "node:path";
import { artefact, findChromium, openChromium } from "@holdover/testkit/chromium";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { openDashboard, PHONE, WIDE } from "./dashboard-fixture.ts";

/**
 * 50 releases one after the other, and 10,000 sessions on ten of them: all real, as is control. Frames and long tasks are
 * told and not asserted: the browser shares two cores with all the rest.
 */

const chromium = await findChromium("that the dashboard stays smooth with 10,000 sessions and 50 releases");

const RELEASES = 50;
/** Every so many releases hold sessions. */
const HELD_EVERY = 5;
const SESSIONS = 10_000;
const AT_ONCE = 20;
// Fifty deploys with real processes.
vi.setConfig({ hookTimeout: 600_000 });

const rooms = {
  dir: join(REPOSITORY, "examples", "rooms"),
  command: ["node", "server.js"],
  instances: 1,
  session: { key: [{ query: "room" }], linger: "2h" },
  health: { path: "/healthz" },
  retention: { policy: "until-empty", floor: "0s" },
};

describe.skipIf(chromium.path === null)("the dashboard with much to show", () => {
  let browser: Browser;
  let cluster: Cluster;

  beforeAll(async () => {
    browser = await openChromium(chromium.path ?? "");
    cluster = await startCluster({ services: { rooms: { ...rooms, release: "v1" } } });
    await cluster.until("v1 is current", ({ services }) => services[0]?.current === "v1");
    for (let number = 2; number <= RELEASES; number++) {
      const release = `v${number}`;
      await cluster.api("POST", "/v1/services/rooms/releases", { release, dir: rooms.dir });
      await cluster.until(`${release} is current`, ({ services }) => services[0]?.current === release, 60_000);
      if (number % HELD_EVERY === 0) await openRooms(release, (SESSIONS * HELD_EVERY) / RELEASES);
    }
  });
  afterAll(async () => {
    await browser?.close();
    await cluster?.stop();
  });

  /** Sessions that linger: each has had a request, and keeps its place. */
  async function openRooms(release: string, count: number): Promise<void> {
    let next = 0;
    const visitor = async (): Promise<void> => {
      while (next < count) {
        const room = `${release}-${next++}`;
        const response = await fetch(`${cluster.url}/healthz?room=${room}`);
        await response.arrayBuffer();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, visitor));
  }

  test.each([
    ["wide", WIDE],
    ["phone", PHONE],
  ])(
    "it lists, scrolls and searches all of them on a %s screen, drawing few at a time; how smoothly is told",
    async (name, viewport) => {
      const { page, context } = await openDashboard(browser, cluster, { viewport });
      onTestFinished(() => context.close());
      await page.getByText(/^9 older releases let 9,000 sessions finish/).waitFor();
      await page.screenshot({ path: await artefact(`dashboard-many-${name}.png`) });

      await startWatching(page);
      await page.getByRole("button", { name: `Show ${RELEASES - SESSIONS / 1000} releases that are over` }).click();
      await scroll(page, "html");
      report(`${name}: overview`, await watched(page));

      await page.getByRole("link", { name: "Sessions" }).first().click();
      const found = (text: string) => page.getByRole("status").filter({ hasText: text });
      await found("10,000 live").waitFor();
      await startWatching(page);
      const rows = page.locator(".rows-scroll");
      // More are fetched whenever the end is seen.
      const listed = async (): Promise<string | null> => {
        await rows.evaluate((box) => (box.scrollTop = box.scrollHeight));
        return page.getByRole("table").getAttribute("aria-rowcount");
      };
      await expect.poll(listed).toBe(String(SESSIONS + 1));
      await scroll(page, ".rows-scroll");
      expect(await rows.getByRole("row").count()).toBeLessThan(100);
      report(`${name}: sessions`, await watched(page));

      await page.getByRole("searchbox").fill("V25-99");
      await page.getByRole("link", { name: "v25-999" }).waitFor();
      await found("11 match").waitFor();
    },
  );
});

interface Watched {
  /** How long the page was busy at a time, ms: what took over 50. */
  readonly tasks: number[];
  /** From one frame to the next, ms. */
  readonly frames: number[];
}

async function startWatching(page: Page): Promise<void> {
  await page.evaluate(() => {
    const seen: { tasks: number[]; frames: number[] } = { tasks: [], frames: [] };
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.tasks.push(entry.duration);
    });
    observer.observe({ type: "longtask" });
    let before = performance.now();
    let going = true;
    const frame = (now: number): void => {
      seen.frames.push(now - before);
      before = now;
      if (going) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    Object.assign(globalThis, {
      watched: () => {
        going = false;
        observer.disconnect();
        return seen;
      },
    });
  });
}

function watched(page: Page): Promise<Watched> {
  return page.evaluate(() => (globalThis as unknown as { watched: () => Watched }).watched());
}

/** Scrolls to the end as fast as a person can, a screen a frame, and back. */
async function scroll(page: Page, selector: string): Promise<void> {
  await page.evaluate(async (selector) => {
    const box = document.querySelector(selector);
    if (!box) throw new Error(`there is no ${selector}`);
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const step = Math.max(box.clientHeight, (box.scrollHeight - box.clientHeight) / 120);
    for (let top = 0; top < box.scrollHeight; top += step) {
      box.scrollTop = top;
      await frame();
    }
    for (let top = box.scrollHeight; top > 0; top -= step) {
      box.scrollTop = top;
      await frame();
    }
  }, selector);
}

function report(what: string, { tasks, frames }: Watched): void {
  const sorted = frames.toSorted((a, b) => a - b);
  const quantile = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Infinity;
  const longest = Math.max(0, ...tasks);
  const [median, p95] = [quantile(0.5), quantile(0.95)];
  process.stdout.write(
    `${what}: ${frames.length} frames, median ${median.toFixed(0)} ms, P95 ${p95.toFixed(0)} ms; ` +
      `${tasks.length} tasks over 50 ms, the longest ${longest.toFixed(0)} ms\n`,
  );
}
