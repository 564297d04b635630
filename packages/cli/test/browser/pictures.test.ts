import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { artefact, findChromium, openChromium } from "@holdover/testkit/chromium";
import { REPOSITORY } from "@holdover/testkit/cluster";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { expectNoSidewaysScroll, faultsOf, openWindow, PHONE, WIDE } from "./dashboard-fixture.ts";

const chromium = await findChromium("that the pictures of the dashboard can be read by everybody, and are fast");

const UPDATES = 12;

/** Where vite says that it serves. @throws where it ends without */
async function addressIn(output: Readable): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const [address] = /http:\/\/127\.0\.0\.1:\d+\//.exec(line) ?? [];
    if (address) return address;
  }
  throw new Error("vite ended before it served anything");
}

/** The gallery of the dashboard: its pictures, with made-up services in every situation that they have to stand. */
describe.skipIf(chromium.path === null)("the pictures of the dashboard", () => {
  let browser: Browser;
  let gallery: ChildProcessByStdio<null, Readable, null>;
  let address: string;

  beforeAll(async () => {
    browser = await openChromium(chromium.path ?? "");
    const vite = join(REPOSITORY, "node_modules", "vite", "bin", "vite.js");
    const dashboard = join(REPOSITORY, "packages", "dashboard");
    gallery = spawn(process.execPath, [vite, dashboard, "--host", "127.0.0.1", "--port", "0"], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    address = `${await addressIn(gallery.stdout)}gallery/index.html`;
    gallery.stdout.resume();
  });
  afterAll(async () => {
    await browser?.close();
    if (gallery?.kill()) await once(gallery, "close");
  });

  async function open(search: string, look: Parameters<typeof openWindow>[1] = {}): Promise<Page> {
    const { page, context, complaints } = await openWindow(browser, look);
    onTestFinished(async () => {
      await context.close();
      expect(complaints).toEqual([]);
    });
    await page.goto(`${address}?${search}`);
    await page.getByRole("radio").first().waitFor({ state: "attached" });
    return page;
  }

  const looks = [
    ["light", "wide", WIDE],
    ["dark", "phone", PHONE],
  ] as const;

  test.each(looks)("axe finds nothing in any situation, in the %s theme, %s", async (theme, width, viewport) => {
    const page = await open(`theme=${theme}`, { viewport });
    await page.locator(".drift-chart svg").first().waitFor();
    expect(await faultsOf(page)).toEqual([]);
    await expectNoSidewaysScroll(page);
    await page.screenshot({ path: await artefact(`pictures-${width}-${theme}.png`), fullPage: true });
  });

  test("keys move through the moments, and the numbers of each are read out and shown", async () => {
    const page = await open("only=mid-deploy");
    const slider = page.getByRole("slider");
    await slider.focus();
    await slider.press("ArrowLeft");
    expect(await slider.getAttribute("aria-valuetext")).toMatch(/^\d\d:\d\d:\d\d\. v43-rc \d+, v42 \d+, v41 \d+$/);
    const shown = page.locator(".lanes-tip");
    await expect.poll(() => shown.textContent()).toMatch(/^\d\d:\d\d:\d\dv43-rc\d+v42\d+v41\d+$/);
    await slider.press("Home");
    expect(await slider.getAttribute("aria-valuetext")).toMatch(/\. v40 \d+$/);
    await slider.press("End");
    expect(await slider.getAttribute("aria-valuetext")).toMatch(/, in 1d \d+h\. v41 0$/);
    await slider.press("Escape");
    await shown.waitFor({ state: "detached" });
  });

  test("marks are one stop of the Tab key, and each says what happened", async () => {
    const page = await open("only=rollback");
    const marks = page.getByRole("group", { name: "What happened to releases" }).getByRole("img");
    await page.getByRole("slider").focus();
    await page.keyboard.press("Shift+Tab");
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
    expect(await focused()).toMatch(/: The window of v8 is over: .+\. By api:ci, deploy$/);
    for (let count = await marks.count(); count > 1; count--) await page.keyboard.press("ArrowLeft");
    expect(await focused()).toMatch(/: v8 takes over from v7: new sessions start on it\. By api:ci, deploy$/);
    await page.keyboard.press("ArrowRight");
    expect(await focused()).toMatch(/: Rolled back from v8 to v7\. By api:ci, errors in the consent step$/);
    await expect.poll(() => page.locator(".lanes-tip").textContent()).toContain("Rolled back from v8 to v7");
  });

  test("the picture glides with time, and only steps for whoever prefers less motion", async () => {
    const page = await open("only=mid-deploy");
    const moving = page.locator(".lanes-moving").first();
    const glides = () => moving.evaluate((element) => getComputedStyle(element).transitionDuration);
    const place = () => moving.evaluate((element) => new DOMMatrix(element.style.transform).e);
    expect(await glides()).toBe("1s");
    const before = await place();
    await expect.poll(place).toBeLessThan(before);
    await page.emulateMedia({ reducedMotion: "reduce" });
    expect(await glides()).toBe("0s");
  });

  // Measured and told, not asserted: on a busy machine the number says nothing of the picture. A quiet one says 4 and 8 ms.
  test.for(["50 releases in two days", "50 live releases"])(
    "an update of %s, each with 300 moments, is drawn each time, and what it takes is told",
    async (situation, { annotate }) => {
      const page = await open(`pictures=lanes&only=${encodeURIComponent(situation)}`);
      const drawn = () => page.evaluate(() => performance.getEntriesByName("drawn").length);
      const session = await page.context().newCDPSession(page);
      // Of the page's own thread: what else the machine does meanwhile is not counted.
      await session.send("Performance.enable", { timeDomain: "threadTicks" });
      const scriptMs = async () => {
        const { metrics } = await session.send("Performance.getMetrics");
        return 1000 * (metrics.find(({ name }) => name === "ScriptDuration")?.value ?? Number.NaN);
      };
      // The first few are slower, as whatever is run for the first time.
      await expect.poll(drawn, { timeout: 60_000 }).toBeGreaterThan(3);
      const [beforeMs, before] = [await scriptMs(), await drawn()];
      await expect.poll(drawn, { timeout: 60_000 }).toBeGreaterThan(before + UPDATES);
      const eachMs = ((await scriptMs()) - beforeMs) / ((await drawn()) - before);
      await annotate(`${eachMs.toFixed(1)} ms of script, with what the gallery needs to make its numbers up`);
    },
  );
});
