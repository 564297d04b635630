import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { harm, measure, type SideMeasures, type WatchedSide } from "@holdover/testkit/call-measures";
import { artefact, findChromium, openChromium } from "@holdover/testkit/chromium";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { joinCall, openWindow, type Caller, type CallerOptions } from "./call-page.ts";
import { openDashboard } from "./dashboard-fixture.ts";
import { dashboardPage, type DashboardPage } from "./dashboard-page.ts";

/** Between two steps one goes on talking for so long, ms: what a step does to the call shows within it. */
const TALK_MS = 3_000;
/** Where the control stands still for longer, ms, the machine is too busy to prove anything. */
const TOO_BUSY_MS = 2_000;
/**
 * While a router starts, two pages of the call and none of its control open their lines anew, on two cores: that takes
 * processor time from their decoders, ms. Media that died with the router would be missed for seconds.
 */
const RECONNECT_MS = 600;

const V1 = join(REPOSITORY, "examples", "consultation");
const V2 = join(REPOSITORY, "examples", "consultation-v2");

const service = {
  dir: V1,
  release: "v1",
  command: ["node", "main.ts"],
  instances: 2,
  session: { key: [{ path: "/rooms/:room" }, { query: "room" }], linger: "2s" },
  // Two cores that start browsers and releases at once let an answer wait.
  health: { path: "/livez", startTimeout: "60s", interval: "5s", timeout: "5s" },
  retention: { policy: "until-empty", floor: "0s", grace: "20s" },
};

const inWords = ({ name, frames, longestGapMs, longestSilenceMs, freezes }: SideMeasures): string =>
  `  ${name}: ${frames} frames, longest gap ${longestGapMs} ms, longest silence ${longestSilenceMs} ms, ${freezes} freezes\n`;

const chromium = await findChromium("that a video call outlives deploys (consultation.test.ts)");

describe.skipIf(chromium.path === null)("a video call", () => {
  let cluster: Cluster;
  /** Another Holdover, which nobody touches: what the machine does to a call, whatever is deployed. */
  let quiet: Cluster;
  let dashboard: DashboardPage;
  let dashboardWindow: Page;
  /** One for advisors and one for customers: what a browser does to a call it does to its control. */
  let browsers: readonly [advisors: Browser, customers: Browser, operator: Browser];
  let control: readonly Caller[];

  beforeAll(async () => {
    const path = chromium.path ?? "";
    [cluster, quiet] = await Promise.all([
      startCluster({ services: { consultation: service } }),
      startCluster({ services: { consultation: { ...service, instances: 1 } } }),
    ]);
    browsers = await Promise.all([openChromium(path), openChromium(path), openChromium(path)]);
    for (const one of [cluster, quiet])
      await one.until("v1 is current", (status) => status.services[0]?.current === "v1", 90_000);
    // As many as there will be callers in the first test.
    windows.advisor = await Promise.all(Array.from({ length: 3 }, () => windowOf("advisor")));
    windows.customer = await Promise.all(Array.from({ length: 6 }, () => windowOf("customer")));
    ({ page: dashboardWindow } = await openDashboard(browsers[2], cluster));
    dashboard = dashboardPage(dashboardWindow);
    control = await callOfTwo(quiet, "control", "control ");
  });

  afterAll(async () => {
    await Promise.all(browsers.map((browser) => browser.close()));
    await Promise.all([cluster, quiet].map((one) => one.stop()));
  });

  /** Windows that wait for somebody to join in them. */
  const windows: Record<CallerOptions["role"], Page[]> = { advisor: [], customer: [] };
  const enter = async (where: Cluster, room: string, role: CallerOptions["role"], name: string): Promise<Caller> =>
    joinCall(windows[role].pop() ?? (await windowOf(role)), where.url, { room, role, name });
  const windowOf = (role: CallerOptions["role"]): Promise<Page> => openWindow(browsers[role === "advisor" ? 0 : 1]);
  const callOfTwo = async (where: Cluster, room: string, prefix = ""): Promise<[advisor: Caller, customer: Caller]> => {
    const advisor = await enter(where, room, "advisor", `${prefix}Ada`);
    const customer = await enter(where, room, "customer", `${prefix}Ben`);
    await Promise.all([advisor.sees(1), customer.sees(1)]);
    return [advisor, customer];
  };
  const talk = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, TALK_MS));
  const mark = (call: readonly Caller[]): Promise<unknown> =>
    Promise.all([...call, ...control].map((caller) => caller.mark()));
  const picture = async (page: Page, name: string): Promise<void> => {
    await page.screenshot({ path: await artefact(`${name}.png`) });
  };
  const stateOf = async (release: string): Promise<string | undefined> =>
    (await cluster.status()).services[0]?.releases.find(({ id }) => id === release)?.state;
  /** What was done when, epoch ms: for whoever reads the series. */
  const steps: { readonly atMs: number; readonly what: string }[] = [];
  const step = (what: string): void => void steps.push({ atMs: Date.now(), what });
  /** What both sides of the call and of its control have seen since the mark; kept as `name`.json. */
  const sides = async (call: readonly Caller[], name: string): Promise<[WatchedSide[], WatchedSide[]]> => {
    const seen = await Promise.all([...call, ...control].map((caller) => caller.side()));
    const measures = seen.map(measure);
    await writeFile(await artefact(`${name}.json`), JSON.stringify({ measures, steps, seen }));
    process.stdout.write(measures.map(inWords).join(""));
    const controls = seen.slice(call.length);
    expect(harm(controls, controls), "the control call goes on").toEqual([]);
    const busyMs = Math.max(...measures.slice(call.length).map(({ longestGapMs }) => longestGapMs));
    expect(busyMs, "this machine is too busy to prove anything").toBeLessThan(TOO_BUSY_MS);
    return [seen.slice(0, call.length), controls];
  };

  test("never freezes while releases come and go, and its release retires when it has ended", async () => {
    const call = await callOfTwo(cluster, "call");
    const [advisor, customer] = call;
    const place = await advisor.place();
    expect(place.release).toBe("v1");
    const pid = (await cluster.instancePids()).get(place.instance) ?? 0;
    expect(pid).toBeGreaterThan(0);
    await customer.write("Good morning");
    await customer.agree();
    await picture(advisor.page, "call-before");
    await mark(call);
    await talk();

    step("deploy v2");
    await dashboard.deploy("v2", V2);
    await dashboard.shows("v1", "retained", 1);
    await advisor.write("There is a v2 now");
    await talk();
    step("somebody waits on v2");
    // Somebody waits alone in a room that was opened on v2.
    const waiting = await enter(cluster, "waiting", "customer", "Dan");
    expect((await waiting.place()).release).toBe("v2");
    await waiting.write("Is anybody there?");
    await picture(advisor.page, "call-during");

    step("rollback");
    await dashboard.rollbackTo("v1");
    await talk();
    step("deploy v3");
    await dashboard.deploy("v3", V2);
    await dashboard.shows("v2", "retained", 1);
    await dashboardWindow.mouse.move(0, 0);
    await picture(dashboardWindow, "call-dashboard");
    await talk();

    step("a new call");
    const newCall = await callOfTwo(cluster, "new", "new ");
    for (const caller of newCall) expect((await caller.place()).release).toBe("v3");
    await picture(newCall[0].page, "call-on-v3");
    await Promise.all(newCall.map((caller) => caller.hangUp()));

    step("expire v2");
    // Whoever waits on v2 is asked to move, and is on v3 with what was written.
    await dashboard.expire("v2", 1);
    await expect.poll(() => waiting.place()).toMatchObject({ release: "v3" });
    expect(await waiting.lines()).toEqual(["Dan: Is anybody there?"]);
    await waiting.hangUp();

    step("a third one joins");
    // A third one joins the call; and the control too, since that is work for the machine.
    const [second, third] = await Promise.all([
      enter(cluster, "call", "customer", "Cleo"),
      enter(quiet, "control", "customer", "control Cleo"),
    ]);
    await Promise.all([...call, ...control, second, third].map((caller) => caller.sees(2)));
    const said = ["Ben: Good morning", "Ada: There is a v2 now"];
    for (const caller of [...call, second]) {
      expect(await caller.place()).toEqual(place);
      expect(await caller.lines()).toEqual(said);
      expect(await caller.agreed()).toMatch(/^Ben agreed/);
    }
    await picture(advisor.page, "call-after");
    await dashboard.lists("call", "v1", 3);
    step("all are there");
    await talk();

    const [seen, controls] = await sides(call, "call");
    expect(harm(seen, controls)).toEqual([]);

    expect(await stateOf("v1")).toBe("retained");
    await Promise.all([...call, second, third].map((caller) => caller.hangUp()));
    await cluster.until("v1 has retired", async () => (await stateOf("v1")) === "retired");
    await dashboard.showsRetired("v1", "v2");
    await picture(dashboardWindow, "call-dashboard-after");
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  test("goes on while the router is killed and started anew: the line comes back, and the media never left", async () => {
    const call = await callOfTwo(cluster, "router");
    const [advisor, customer] = call;
    await mark(call);
    await talk();

    step("kill the host");
    await cluster.kill("host");
    await cluster.restart();
    await Promise.all([advisor.write("Are you there?"), customer.write("I never left")]);
    step("the line is back");
    await talk();
    const [seen, controls] = await sides(call, "call-router");
    expect(harm(seen, controls, RECONNECT_MS)).toEqual([]);
    for (const caller of call)
      expect((await caller.lines()).toSorted()).toEqual(["Ada: Are you there?", "Ben: I never left"]);
    await Promise.all(call.map((caller) => caller.hangUp()));
  });

  test("that is broken on purpose is found to be: its instance is killed, and its media with it", async () => {
    const call = await callOfTwo(cluster, "broken");
    const [advisor, customer] = call;
    await customer.agree();
    await advisor.write("Good morning");
    await mark(call);
    await talk();

    step("kill");
    const { instance } = await advisor.place();
    await cluster.kill({ instance });
    await expect.poll(() => Promise.all(call.map((caller) => caller.connections()))).toEqual([2, 2]);
    await Promise.all(call.map((caller) => caller.sees(1)));
    const [seen, controls] = await sides(call, "call-broken");
    const found = harm(seen, controls);
    for (const { name } of call) {
      expect(found).toContainEqual(expect.stringMatching(`^${name}: no frame for`));
      expect(found).toContainEqual(expect.stringMatching(`^${name}: 2 peer connections`));
    }

    // What was kept is there, on another instance.
    for (const caller of call) {
      expect((await caller.place()).instance).not.toBe(instance);
      expect(await caller.lines()).toEqual(["Ada: Good morning"]);
      expect(await caller.agreed()).toMatch(/^Ben agreed/);
    }
  });
});
