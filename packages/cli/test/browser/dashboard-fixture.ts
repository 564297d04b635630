import { AxeBuilder } from "@axe-core/playwright";
import type { Cluster } from "@holdover/testkit/cluster";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";

/** How the dashboard is opened and looked at in tests. */

export const WIDE = { width: 1440, height: 900 };
/** The narrowest phone that the page is made for. */
export const PHONE = { width: 360, height: 740 };

export interface Look {
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: "light" | "dark";
}

export interface OpenedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page complained of: errors that nobody caught, and what its policy refused. */
  readonly complaints: string[];
}

/** A window of its own: nothing of another one is kept in it. */
export async function openWindow(
  browser: Browser,
  { viewport = WIDE, colorScheme = "light" }: Look = {},
): Promise<OpenedPage> {
  const context = await browser.newContext({ viewport, colorScheme });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (/content.security.policy|refused to/i.test(message.text())) complaints.push(message.text());
  });
  return { page, context, complaints };
}

/** A link that signs a browser in once. */
export async function signInLink(
  cluster: Cluster,
  role: "viewer" | "deployer" | "admin" = "deployer",
): Promise<string> {
  const { path } = await cluster.api<{ path: string }>("POST", "/v1/sign-in-links", { role });
  return cluster.apiUrl + path;
}

/** Opens the dashboard of a cluster, signed in, once it shows what is live. */
export async function openDashboard(
  browser: Browser,
  cluster: Cluster,
  { role, ...look }: Look & { readonly role?: "viewer" | "deployer" | "admin" } = {},
): Promise<OpenedPage> {
  const opened = await openWindow(browser, look);
  await opened.page.goto(await signInLink(cluster, role));
  await isLive(opened.page);
  return opened;
}

/** Waits until the page shows what is, and says so. */
export async function isLive(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Page live" }).waitFor();
}

/** What axe finds wrong with the page as it stands, one line each. */
export async function faultsOf(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

/** No part of the page reaches beyond the window to the side. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
}
