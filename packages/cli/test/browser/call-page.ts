import type { Browser, Page } from "playwright-core";
import { clockOf, connectionsOf, picturesOn, sideOf, watchCalls } from "./call-watch.ts";
import type { WatchedSide } from "@holdover/testkit/call-measures";

/** Frames after which a picture is there and goes on: two seconds of it. */
const FRAMES_THERE = 10;

/** Somebody in a consultation, at a page of its own. */
export interface Caller {
  readonly name: string;
  readonly page: Page;
  /** The release and the instance that the page says it is on. */
  place(): Promise<{ readonly release: string; readonly instance: string }>;
  write(text: string): Promise<void>;
  agree(): Promise<void>;
  /** What is in the chat, without what is not kept yet. */
  lines(): Promise<string[]>;
  /** What the page says of the agreement. */
  agreed(): Promise<string>;
  /** Resolves when so many others are seen, each with a picture that goes on. */
  sees(others: number): Promise<void>;
  /** Peer connections that the page has ever made. */
  connections(): Promise<number>;
  /** Begins to measure. */
  mark(): Promise<void>;
  /** What this side has seen since the {@link mark}. */
  side(): Promise<WatchedSide>;
  /** Hangs up, and closes the page. */
  hangUp(): Promise<void>;
}

export interface CallerOptions {
  readonly room: string;
  readonly name: string;
  readonly role: "advisor" | "customer";
}

/** An empty window of a profile of its own. To open it costs more than to join, so that it may be done before one measures. */
export async function openWindow(browser: Browser): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 960, height: 640 } });
  const page = await context.newPage();
  await watchCalls(page);
  return page;
}

/** Opens the page of a room, and joins. */
export async function joinCall(page: Page, url: string, { room, name, role }: CallerOptions): Promise<Caller> {
  await page.goto(`${url}/?room=${room}`);
  await page.fill("#lobby [name=name]", name);
  await page.check(`#lobby [value=${role}]`);
  await page.click("#lobby button");
  await page.waitForFunction(() => document.querySelector("#state")?.textContent === "In the call");
  let sinceMs = 0;
  return {
    name,
    page,
    place: () =>
      page.locator("#release").evaluate((badge: HTMLElement) => ({
        release: (badge.textContent ?? "").replace("release ", ""),
        instance: badge.title,
      })),
    connections: () => connectionsOf(page),
    async write(text) {
      await page.fill("#write [name=text]", text);
      await page.click("#write button");
      await page.locator("#lines li:not(.pending)", { hasText: text }).waitFor();
    },
    async agree() {
      await page.click("#agree");
      await page.locator("#agreed.done").waitFor();
    },
    lines: () =>
      page
        .locator("#lines li:not(.pending)")
        .evaluateAll((items) =>
          items.map((item) => `${item.firstChild?.textContent}: ${item.childNodes[1]?.textContent}`),
        ),
    agreed: async () => (await page.textContent("#agreed")) ?? "",
    sees: (others) => picturesOn(page, others, FRAMES_THERE),
    async mark() {
      sinceMs = await clockOf(page);
    },
    side: () => sideOf(page, name, sinceMs),
    async hangUp() {
      await page.click("#hang-up");
      await page.locator("#lobby").waitFor();
      await page.context().close();
    },
  };
}
