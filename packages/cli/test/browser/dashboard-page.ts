import type { Locator, Page } from "playwright-core";

/** A release takes so long at the most to be current, or to be gone, ms. */
const DONE_MS = 90_000;

/** What somebody does to a service by the buttons of its dashboard. Each step resolves when the page says that it is done. */
export interface DashboardPage {
  /** Resolves when the row of a release says that it is in a state, and how many sessions it has. */
  shows(release: string, state: string, sessions: number): Promise<void>;
  /** Opens what is over, once it is so many releases; resolves when they are shown as retired. */
  showsRetired(...releases: string[]): Promise<void>;
  /** Resolves when the list of sessions shows one on a release, with so many connections; the overview is shown again. */
  lists(session: string, release: string, connections: number): Promise<void>;
  deploy(release: string, directory: string): Promise<void>;
  rollbackTo(release: string): Promise<void>;
  /** @param sessions how many it says will be asked to move */
  expire(release: string, sessions: number): Promise<void>;
}

/** @param page the dashboard, signed in by somebody who may deploy, with one service */
export function dashboardPage(page: Page): DashboardPage {
  const dialog = page.getByRole("dialog");
  const row = (release: string): Locator =>
    page.getByRole("listitem").filter({ has: page.getByRole("button", { name: release, exact: true }) });
  const close = async (): Promise<void> => {
    await dialog.getByRole("button", { name: "Close" }).last().click();
    await dialog.waitFor({ state: "detached" });
  };
  return {
    async shows(release, state, sessions) {
      await row(release).getByText(state, { exact: true }).waitFor();
      await row(release).locator(".cell .large").getByText(String(sessions), { exact: true }).waitFor();
    },
    async showsRetired(...releases) {
      await page.getByRole("button", { name: `Show ${releases.length} releases that are over` }).click();
      for (const release of releases) await row(release).getByText("retired", { exact: true }).waitFor();
    },
    async lists(session, release, connections) {
      await page.getByRole("link", { name: "Sessions" }).first().click();
      const found = page.getByRole("row").filter({ has: page.getByRole("link", { name: session, exact: true }) });
      await found.locator(".session-release").getByText(release, { exact: true }).waitFor();
      await found.locator(".session-connections").getByText(String(connections), { exact: true }).waitFor();
      await page.getByRole("link", { name: "Overview" }).click();
    },
    async deploy(release, directory) {
      await page.getByRole("button", { name: "Deploy…" }).click();
      await dialog.getByRole("textbox", { name: "Release" }).fill(release);
      await dialog.getByLabel("Directory").fill(directory);
      await dialog.getByText(`New sessions start on ${release}.`).waitFor();
      await dialog.getByRole("button", { name: "Deploy", exact: true }).click();
      const done = dialog.getByText(`${release} is current: new sessions start on it.`, { exact: true });
      await done.waitFor({ timeout: DONE_MS });
      await close();
    },
    async rollbackTo(release) {
      await row(release).getByRole("button", { name: "Roll back to it…" }).click();
      await dialog.getByText(`New sessions start on ${release}.`).waitFor();
      await dialog.getByRole("button", { name: "Roll back", exact: true }).click();
      await dialog.getByText(`${release} is current again: new sessions start on it.`).waitFor();
      await close();
    },
    async expire(release, sessions) {
      await row(release).getByRole("button", { name: "Expire…" }).click();
      await dialog.getByText(`${sessions} session`).first().waitFor();
      await dialog.getByLabel(`Type ${release} to go on.`).fill(release);
      await dialog.getByRole("button", { name: /^Expire/ }).click();
      const done = dialog.getByText(`${release} is retired: no session, no instance.`);
      await done.waitFor({ timeout: DONE_MS });
      await close();
    },
  };
}
