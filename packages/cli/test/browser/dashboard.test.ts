import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { artefact, findChromium, openChromium } from "@holdover/testkit/chromium";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { joinRoom, type RoomClient } from "@holdover/testkit/room-client";
import { openLedger } from "@holdover/testkit/room-ledger";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  expectNoSidewaysScroll,
  faultsOf,
  isLive,
  openDashboard,
  openWindow,
  PHONE,
  signInLink,
  WIDE,
  type Look,
} from "./dashboard-fixture.ts";

const chromium = await findChromium(
  "that the dashboard can be used, by everybody, and never tells old numbers as live",
);

const MARKUP = '<img src=x onerror="window.harmed=true"><script>window.harmed=true</script>';
const RIGHT_TO_LEFT = "חדר-שלום";
const EMOJI = "👩‍⚕️🩺";
const LONG = "room-".repeat(40);
/** The longest that an id may be. */
const LONG_RELEASE = `v1.${"0".repeat(59)}-x`;

const rooms = {
  dir: join(REPOSITORY, "examples", "rooms"),
  release: "v1",
  command: ["node", "server.js"],
  instances: 2,
  session: { key: [{ query: "room" }], linger: "60s" },
  health: { path: "/healthz" },
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe.skipIf(chromium.path === null)("the dashboard", () => {
  let browser: Browser;
  let cluster: Cluster;
  const members: RoomClient[] = [];

  beforeAll(async () => {
    browser = await openChromium(chromium.path ?? "");
    // A page is open on one address: it has to be the same when control was started anew.
    cluster = await startCluster({ services: { rooms }, config: { api: `127.0.0.1:${await freePort()}` } });
    await cluster.until("v1 is current", ({ services }) => services[0]?.current === "v1");
    for (const room of [MARKUP, RIGHT_TO_LEFT, EMOJI, LONG, "lobby"]) {
      members.push(await joinRoom({ url: cluster.url, name: "ana", ledger: openLedger(room) }));
    }
  });
  afterAll(async () => {
    for (const member of members) member.destroy();
    await browser?.close();
    await cluster?.stop();
  });

  async function dashboard(
    options: Parameters<typeof openDashboard>[2] = {},
  ): Promise<{ page: Page; complaints: string[] }> {
    const { page, context, complaints } = await openDashboard(browser, cluster, options);
    onTestFinished(() => context.close());
    return { page, complaints };
  }

  async function window(look: Look = {}): Promise<Page> {
    const { page, context } = await openWindow(browser, look);
    onTestFinished(() => context.close());
    return page;
  }

  test("a link signs a browser in once, and neither the address nor another window has anything of it", async () => {
    const link = await signInLink(cluster, "viewer");
    const page = await window();
    await page.goto(link);
    await page.getByText("New sessions start on v1.").waitFor();
    expect(page.url()).toBe(`${cluster.apiUrl}/`);
    expect(await page.evaluate(() => [localStorage.length, document.cookie])).toEqual([0, ""]);
    await page.reload();
    await page.getByText("New sessions start on v1.").waitFor();

    const second = await window();
    await second.goto(link);
    await second.getByText("This link was used already").waitFor();
    expect(await faultsOf(second)).toEqual([]);
  });

  test("a token is asked for, a wrong one is refused in words, and signing out leaves nothing behind", async () => {
    const page = await window();
    await page.goto(cluster.apiUrl);
    await page.getByLabel("Token").fill("no token, but ünïcode");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("The API was called without a valid token.").waitFor();

    const { secret } = await cluster.api<{ secret: string }>("POST", "/v1/tokens", { name: "ana", role: "viewer" });
    await page.getByLabel("Token").fill(secret);
    await page.getByLabel("Token").press("Enter");
    await page.getByText("New sessions start on v1.").waitFor();
    expect(page.url()).not.toContain(secret);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
    expect(await page.getByText("New sessions start on").count()).toBe(0);
  });

  test("a token that is taken back is asked for again, and the person is where they were", async () => {
    const page = await window();
    const first = await cluster.api<{ secret: string }>("POST", "/v1/tokens", { name: "ben", role: "viewer" });
    await page.goto(cluster.apiUrl);
    await page.getByLabel("Token").fill(first.secret);
    await page.getByLabel("Token").press("Enter");
    await page.getByRole("link", { name: "Sessions" }).first().click();
    await page.getByRole("searchbox").fill("lobby");
    await page.getByRole("link", { name: "lobby" }).waitFor();

    await cluster.api("DELETE", "/v1/tokens/ben");
    const dialog = page.getByRole("dialog", { name: "Sign in again" });
    await dialog.getByText("The API was called without a valid token.").waitFor();
    expect(await faultsOf(page)).toEqual([]);
    const second = await cluster.api<{ secret: string }>("POST", "/v1/tokens", { name: "ben", role: "viewer" });
    await dialog.getByLabel("Token").fill(second.secret);
    await dialog.getByLabel("Token").press("Enter");
    await dialog.waitFor({ state: "detached" });
    expect(await page.getByRole("searchbox").inputValue()).toBe("lobby");
    await page.getByRole("link", { name: "lobby" }).waitFor();
  });

  test.each(["light", "dark"] as const)(
    "axe finds nothing in any view in the %s theme, and no view scrolls sideways",
    async (colorScheme) => {
      for (const [width, viewport] of Object.entries({ wide: WIDE, phone: PHONE })) {
        const { page, complaints } = await dashboard({ colorScheme, viewport });
        const views = {
          overview: "/",
          release: "/",
          sessions: "/#/sessions?service=rooms",
          session: `/#/session?service=rooms&key=${encodeURIComponent(MARKUP)}`,
          audit: "/#/audit",
        };
        for (const [name, path] of Object.entries(views)) {
          await page.goto(cluster.apiUrl + path);
          await isLive(page);
          if (name === "release") {
            await page.getByRole("button", { name: "v1", exact: true }).click();
            await page.getByRole("button", { name: "How old its sessions are" }).click();
            await page.getByRole("button", { name: "How long its sessions last" }).click();
            await page.getByText("5 open").last().waitFor();
          }
          if (name === "sessions") await page.getByText(RIGHT_TO_LEFT).waitFor();
          if (name === "session") await page.getByRole("button", { name: "Move…" }).waitFor();
          if (name === "audit") await page.getByText(/^All entries 1 to \d+ hold\.$/).waitFor();
          expect(await faultsOf(page), `${name}, ${width}`).toEqual([]);
          await expectNoSidewaysScroll(page);
          await page.screenshot({ path: await artefact(`dashboard-${name}-${width}-${colorScheme}.png`) });
        }
        expect(complaints).toEqual([]);
      }
    },
  );

  test("the theme is the system's until it is chosen, and what was chosen stays", async () => {
    const { page } = await dashboard({ colorScheme: "dark" });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await ground();
    await page.getByRole("button", { name: "Switch to the light theme" }).click();
    const light = await ground();
    expect(light).not.toBe(dark);
    await page.reload();
    await page.getByRole("button", { name: "Switch to the dark theme" }).waitFor();
    expect(await ground()).toBe(light);
  });

  test("markup in a session key is text wherever it is shown, and so is every other key", async () => {
    const { page, complaints } = await dashboard();
    await page.getByRole("link", { name: "Sessions" }).first().click();
    for (const key of [MARKUP, RIGHT_TO_LEFT, EMOJI, LONG]) {
      await page.getByRole("searchbox").fill(key.slice(0, 20));
      await page.getByRole("link", { name: key, exact: true }).click();
      await page.getByRole("heading", { name: key, exact: true }).waitFor();
      await page.getByText("opened", { exact: true }).waitFor();
      await page.goBack();
    }
    expect(
      await page.evaluate(() => [document.images.length, document.scripts.length, "harmed" in globalThis]),
    ).toEqual([0, 1, false]);
    expect(complaints).toEqual([]);
  });

  test("every number says what it is, on hover and on focus, and Escape lets go of it", async () => {
    const { page } = await dashboard();
    const sessions = page.locator(".totals").getByRole("button").first();
    await sessions.hover();
    const tip = page.locator(".tip");
    await tip.getByText("Counted by the router").waitFor();
    await page.keyboard.press("Escape");
    await tip.waitFor({ state: "hidden" });
    await sessions.focus();
    await tip.getByText("Counted by the router").waitFor();
    expect(await sessions.getAttribute("aria-description")).toContain("a dash means that nobody can count them now");
    const unexplained = await page.locator(".figure:not([aria-description])").count();
    expect(unexplained).toBe(0);
  });

  test("a dialog is opened, used and left by keys alone, and gives the focus back", async () => {
    const { page } = await dashboard();
    const where = page.url();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("content");
    expect(page.url()).toBe(where);
    const deploy = page.getByRole("button", { name: "Deploy…" });
    await deploy.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Deploy a release of rooms" }).waitFor();
    await page.keyboard.type("v9");
    expect(await page.getByRole("textbox", { name: "Release" }).inputValue()).toBe("v9");
    // However far somebody goes, the focus stays in the dialog.
    for (let step = 0; step < 20; step++) await page.keyboard.press("Tab");
    const inDialog = () => page.evaluate(() => document.activeElement?.closest("dialog") !== null);
    expect((await inDialog()) || (await page.evaluate(() => document.activeElement === document.body))).toBe(true);
    await page.getByRole("textbox", { name: "Release" }).focus();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await deploy.evaluate((button) => button === document.activeElement)).toBe(true);
  });

  test("while control says nothing the page tells since when, shows no number as live, and goes on by itself", async () => {
    const { page } = await dashboard();
    await page.getByText("New sessions start on v1.").waitFor();
    await cluster.kill("control", "SIGSTOP");
    try {
      await page.getByText(/What you see was so at \d\d:\d\d:\d\d\./).waitFor({ timeout: 30_000 });
      expect(
        await page
          .locator(".live-only")
          .first()
          .evaluate((part) => part.closest(".stale") !== null),
      ).toBe(true);
      await page.getByRole("button", { name: "Deploy…" }).hover();
      await page.locator(".tip").getByText("The page is not live").waitFor();
      expect(await faultsOf(page)).toEqual([]);
      await page.screenshot({ path: await artefact("dashboard-stale.png") });
    } finally {
      await cluster.kill("control", "SIGCONT");
    }
    await page.getByText("Not live.").waitFor({ state: "detached", timeout: 30_000 });
    expect(await page.locator(".stale").count()).toBe(0);
  });

  test("when control dies and is started anew, the page says so and goes on without a gap in the audit log", async () => {
    const { page } = await dashboard();
    await page.getByRole("link", { name: "Audit", exact: true }).click();
    await page.getByText(/^All entries 1 to \d+ hold\.$/).waitFor();
    await cluster.kill("control", "SIGKILL");
    await page.getByText(/Control was started anew at/).waitFor({ timeout: 30_000 });
    // What the new one wrote when it started follows from what the page had.
    await page.locator(".audit-lines").getByText("control started").first().waitFor();
    await page.getByText(/^All entries 1 to \d+ hold\.$/).waitFor();
    expect(await page.getByText("Not live.").count()).toBe(0);
  });

  test("an entry of the audit log that was changed on its way is told by its number", async () => {
    const { page } = await dashboard();
    await page.route("**/v1/audit/export*", async (route) => {
      const response = await route.fetch();
      const lines = (await response.text()).split("\n");
      lines[2] = (lines[2] ?? "").replace(/"actor":"[^"]*"/, '"actor":"mallory"');
      await route.fulfill({ response, body: lines.join("\n") });
    });
    await page.goto(`${cluster.apiUrl}/#/audit`);
    await page.reload();
    await page.getByRole("alert").getByText("The chain is broken at entry 2:").waitFor();
    await page.locator(".health").getByText("broken at 2").waitFor();
    // What was read before it stands, and what comes after it is shown and not vouched for.
    await cluster.api("POST", "/v1/tokens", { name: "cleo", role: "viewer" });
    const lines = page.locator(".audit-lines > li");
    await lines.first().getByText("not vouched for").waitFor();
    expect(await lines.last().textContent()).toMatch(/^#1(?!.*not vouched for)/);
  });

  test("who may only look is told why a button is off", async () => {
    const { page } = await dashboard({ role: "viewer" });
    const deploy = page.getByRole("button", { name: "Deploy…" });
    await deploy.focus();
    await page
      .locator(".tip")
      .getByText(/has the role viewer; this needs deployer\.$/)
      .waitFor();
    expect(await deploy.getAttribute("aria-disabled")).toBe("true");
    await deploy.click({ force: true });
    expect(await page.getByRole("dialog").count()).toBe(0);
  });

  test("a person deploys, rolls back and expires by buttons, sees what each would do, and types a word before it ends sessions", async () => {
    const { page } = await dashboard({ role: "deployer" });
    const dialog = page.getByRole("dialog");
    const row = (release: string) =>
      page.getByRole("listitem").filter({ has: page.getByRole("button", { name: release, exact: true }) });

    await page.getByRole("button", { name: "Deploy…" }).click();
    await dialog.getByRole("textbox", { name: "Release" }).fill("v1");
    await dialog.getByText(/RELEASE_EXISTS/).waitFor();
    await dialog.getByRole("textbox", { name: "Release" }).fill("no such id: ".repeat(20));
    await dialog.getByText(/REQUEST_INVALID/).waitFor();
    await dialog.getByRole("textbox", { name: "Release" }).fill("v2");
    await dialog.getByLabel("Directory").fill(join(REPOSITORY, "examples", "rooms-v2"));
    await dialog.getByText("New sessions start on v2.").waitFor();
    expect(await faultsOf(page)).toEqual([]);
    await page.screenshot({ path: await artefact("dashboard-deploy.png") });
    await dialog.getByRole("button", { name: "Deploy", exact: true }).click();
    await dialog.getByText("v2 is current: new sessions start on it.", { exact: true }).waitFor();
    await dialog.getByRole("button", { name: "Close" }).last().click();
    await row("v1").getByText("retained", { exact: true }).waitFor();
    await row("v2").getByText("current", { exact: true }).waitFor();

    await row("v1").getByRole("button", { name: "Roll back to it…" }).click();
    await dialog.getByText("New sessions start on v1.").waitFor();
    await dialog.getByRole("button", { name: "Roll back", exact: true }).click();
    await dialog.getByText("v1 is current again: new sessions start on it.").waitFor();
    await dialog.getByRole("button", { name: "Close" }).last().click();
    expect((await cluster.status()).services[0]?.current).toBe("v1");

    // v2 becomes current again and v1 keeps its sessions, so that one can be moved, and expiring it ends the others.
    await cluster.succeed("promote", "rooms", "v2");
    await page.getByRole("link", { name: "Sessions" }).first().click();
    await page.getByRole("link", { name: "lobby" }).click();
    await page.getByRole("button", { name: "Move…" }).click();
    await dialog.getByRole("button", { name: "Move", exact: true }).click();
    await dialog.getByText("1 connection of it is asked to come back, and finds it on v2.").waitFor();
    await dialog.getByRole("button", { name: "Close" }).last().click();
    await page
      .getByText(/was moved: asked to connect again/)
      .first()
      .waitFor();
    await page.locator(".facts").getByText("v2", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Overview" }).click();

    await row("v1").getByRole("button", { name: "Expire…" }).click();
    await dialog.getByLabel("are cut now, paced").check();
    const expire = dialog.getByRole("button", { name: /^Expire, ending up to 4 sessions$/ });
    await expire.waitFor();
    expect(await expire.getAttribute("aria-disabled")).toBe("true");
    await page.keyboard.press("Enter");
    expect((await cluster.status()).services[0]?.releases.find(({ id }) => id === "v1")?.state).toBe("retained");
    await dialog.getByLabel(/Type v1 to go on\./).fill("v1");
    await page.screenshot({ path: await artefact("dashboard-expire.png") });
    await expire.click();
    await dialog.getByText("v1 is retired: no session, no instance.").waitFor({ timeout: 60_000 });
    await dialog.getByRole("button", { name: "Close" }).last().click();

    const { entries } = await cluster.api<{ entries: { kind: string; actor: string; release?: string }[] }>(
      "GET",
      "/v1/audit?tail=1000",
    );
    expect(entries.filter(({ kind }) => kind === "session.cut")).toHaveLength(4);
    expect(entries.findLast(({ kind, release }) => kind === "release.starting" && release === "v2")?.actor).toMatch(
      /^api:page-/,
    );
  });

  test("a release with a long name breaks no layout", async () => {
    await cluster.succeed("deploy", "rooms", "--release", LONG_RELEASE, "--dir", rooms.dir, "--no-promote");
    for (const viewport of [WIDE, PHONE]) {
      const { page } = await dashboard({ viewport });
      await page.getByText(/is ready and has no traffic/).waitFor();
      await expectNoSidewaysScroll(page);
      expect(await faultsOf(page)).toEqual([]);
    }
    await cluster.succeed("retire", "rooms", LONG_RELEASE);
  });
});
