import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { artefact, findChromium, openChromium } from "@holdover/testkit/chromium";
import { REPOSITORY } from "@holdover/testkit/cluster";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { joinCall } from "./call-page.ts";
import { watchCalls } from "./call-watch.ts";
import { expectNoSidewaysScroll, faultsOf, openWindow, PHONE, WIDE } from "./dashboard-fixture.ts";

const chromium = await findChromium("that the sample's page can be used by everybody (consultation-page.test.ts)");

describe.skipIf(chromium.path === null)("the page of the video consultation, without Holdover", () => {
  let browser: Browser;
  let server: ChildProcess;
  let url: string;

  beforeAll(async () => {
    browser = await openChromium(chromium.path ?? "");
    server = spawn(process.execPath, ["main.ts"], {
      cwd: join(REPOSITORY, "examples", "consultation"),
      env: { ...process.env, PORT: "0", HOST: "127.0.0.1" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    url = await new Promise<string>((resolve) => {
      server.stdout?.on("data", (chunk: Buffer) => {
        const found = /http:\/\/[\d.]+:\d+/.exec(chunk.toString());
        if (found) resolve(found[0]);
      });
    });
  });
  afterAll(async () => {
    await browser.close();
    server.kill("SIGKILL");
    await once(server, "close");
  });

  const views = [
    ["wide", "light", WIDE],
    ["wide", "dark", WIDE],
    ["phone", "light", PHONE],
    ["phone", "dark", PHONE],
  ] as const;

  test.each(views)(
    "axe finds nothing in it, and it does not scroll sideways: %s, %s",
    async (width, colorScheme, viewport) => {
      const room = `${width}-${colorScheme}`;
      const { page, complaints } = await openWindow(browser, { viewport, colorScheme });
      await watchCalls(page);
      await page.goto(`${url}/?room=${room}`);
      expect(await faultsOf(page)).toEqual([]);
      await expectNoSidewaysScroll(page);
      await page.screenshot({ path: await artefact(`consultation-lobby-${room}.png`) });

      const ada = await joinCall(page, url, { room, name: "Ada Advisor", role: "advisor" });
      const { page: other } = await openWindow(browser);
      await watchCalls(other);
      const ben = await joinCall(other, url, { room, name: '<b onclick="x">Ben</b>', role: "customer" });
      await Promise.all([ada.sees(1), ben.sees(1)]);
      await ben.agree();
      await ben.write('<img src=x onerror="globalThis.harmed = true">');
      await ada.write("Good morning");
      expect(await ada.lines()).toEqual([
        '<b onclick="x">Ben</b>: <img src=x onerror="globalThis.harmed = true">',
        "Ada Advisor: Good morning",
      ]);
      expect(await page.evaluate(() => "harmed" in globalThis)).toBe(false);
      expect(await faultsOf(page)).toEqual([]);
      await expectNoSidewaysScroll(page);
      await page.screenshot({ path: await artefact(`consultation-${room}.png`), fullPage: true });
      expect(complaints).toEqual([]);
      await Promise.all([ada.hangUp(), ben.hangUp()]);
    },
  );

  test("who has no camera, or keeps it to himself, joins and sees the others", async () => {
    const { page } = await openWindow(browser);
    await watchCalls(page);
    await page.addInitScript(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
    });
    const looks = await joinCall(page, url, { room: "shy", name: "Shy", role: "customer" });
    const { page: other } = await openWindow(browser);
    await watchCalls(other);
    const seen = await joinCall(other, url, { room: "shy", name: "Ada", role: "advisor" });
    await looks.sees(1);
    await seen.write("I cannot see you");
    await expect.poll(() => looks.lines()).toEqual(["Ada: I cannot see you"]);
    await Promise.all([looks.hangUp(), seen.hangUp()]);
  });
});
