import { findChromium, openChromium } from "@holdover/testkit/chromium";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const chromium = await findChromium("that Chromium has a fake camera and microphone");

describe.skipIf(chromium.path === null)("Chromium in tests", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openChromium(chromium.path ?? "");
  });
  afterAll(() => browser.close());

  test("it has a camera and a microphone that nobody has to be asked for", async () => {
    const page = await browser.newPage();
    // A page of its own would need a server; getUserMedia needs an origin that is trusted.
    await page.route("http://localhost/**", (route) =>
      route.fulfill({ body: "<title>empty</title>", contentType: "text/html" }),
    );
    await page.goto("http://localhost/");
    const kinds = await page.evaluate(async () => {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 160, height: 120 } });
      const kinds = stream.getTracks().map(({ kind, readyState }) => `${kind} ${readyState}`);
      for (const track of stream.getTracks()) track.stop();
      return kinds.toSorted();
    });
    expect(kinds).toEqual(["audio live", "video live"]);
  });
});
