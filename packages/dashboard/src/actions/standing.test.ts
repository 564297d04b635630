import type { ReleaseView, ServiceView } from "@holdover/control/api";
import { expect, test } from "vitest";
import { standingOf } from "./standing.ts";

function service(release: Partial<ReleaseView>): ServiceView {
  const whole = {
    id: "v2",
    instances: [],
    instancesWanted: 2,
    sessions: null,
    then: "promote",
    restart: null,
    ...release,
  };
  return { name: "s", current: "v2", releases: [whole] } as unknown as ServiceView;
}

const deploy = { action: "deploy", release: "v2" } as const;
const ready = { state: "ready" } as ReleaseView["instances"][number];

test("a deploy goes on until its release is what was asked for, and tells how far it is", () => {
  expect(standingOf(deploy, undefined)).toMatchObject({ tone: "busy" });
  const starting = standingOf(deploy, service({ state: "starting", instances: [ready] }));
  expect(starting).toMatchObject({ tone: "busy", text: "v2 is starting: 1 of 2 instances healthy." });
  expect(standingOf(deploy, service({ state: "ready" }))).toMatchObject({ tone: "busy" });
  expect(standingOf(deploy, service({ state: "ready", then: "wait" }))).toMatchObject({ tone: "good" });
  expect(standingOf(deploy, service({ state: "current" }))).toMatchObject({ tone: "good" });
});

test("a deploy that failed says why", () => {
  const failure = { code: "INSTANCE_EXITED", problem: "exit code 1", log: [] };
  expect(standingOf(deploy, service({ state: "failed", failure }))).toMatchObject({
    tone: "bad",
    text: "v2 failed: exit code 1",
  });
});

test("a release that is being ended tells who is left, and never takes an unknown number for none", () => {
  const retire = { action: "retire", release: "v2", now: false } as const;
  const sessions = { open: 3, lingering: 1, connections: 3, wedged: 0 };
  expect(standingOf(retire, service({ state: "expiring", sessions })).text).toBe("v2 is expiring: 4 sessions left.");
  expect(standingOf(retire, service({ state: "expiring" })).text).toContain("not known");
  expect(standingOf(retire, service({ state: "retired" }))).toMatchObject({ tone: "good" });
});
