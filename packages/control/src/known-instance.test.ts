import { HoldoverError, type Instance, type InstanceState, type ReleaseStateName } from "@holdover/core";
import { describe, expect, test } from "vitest";
import { knownInstance } from "./known-instance.ts";

const ID = "rooms.v1-1";

function instance(state: "starting" | "ready" | "draining" | "stopped" | "lost"): Instance {
  const exit = { atMs: 1, code: 0, signal: null, error: null, problem: "" };
  const name = { name: state, sinceMs: 1, ...((state === "stopped" || state === "lost") && { exit }) } as InstanceState;
  const place = { host: "127.0.0.1", port: 4000, pid: 1, logFile: "", startedAtMs: 0, readyAtMs: 0 };
  return { id: ID, service: "rooms", release: "v1", state: name, ...place };
}

const known = (state: Parameters<typeof instance>[0], release: ReleaseStateName, id = ID) =>
  knownInstance(id, [instance(state)], () => release);

describe("An instance is known", () => {
  test.each(["starting", "ready", "draining"] as const)("while it is %s", (state) => {
    expect(known(state, "current")).toEqual({ service: "rooms", release: "v1" });
  });

  test.each(["stopped", "lost"] as const)("no more once it is %s", (state) => {
    expect(known(state, "current")).toBeNull();
  });

  test.each(["starting", "ready", "ramping", "current", "retained", "expiring"] as const)(
    "of a release that is %s",
    (release) => {
      expect(known("ready", release)).not.toBeNull();
    },
  );

  test.each(["retired", "failed"] as const)("no more of a release that is %s", (release) => {
    expect(known("ready", release)).toBeNull();
  });

  test("by its own id, and of a release that control knows", () => {
    expect(known("ready", "current", "rooms.v1-2")).toBeNull();
    const unknown = (code: "SERVICE_UNKNOWN" | "RELEASE_UNKNOWN" | "STORE_FAILED") =>
      knownInstance(ID, [instance("ready")], () => {
        throw new HoldoverError(code);
      });
    expect(unknown("SERVICE_UNKNOWN")).toBeNull();
    expect(unknown("RELEASE_UNKNOWN")).toBeNull();
    expect(() => unknown("STORE_FAILED")).toThrow(expect.objectContaining({ code: "STORE_FAILED" }) as Error);
  });

  test("to nobody before the host has told which there are: that is no refusal", () => {
    expect(() => knownInstance(ID, null, () => "current")).toThrow(
      expect.objectContaining({ code: "LINK_DOWN" }) as Error,
    );
  });
});
