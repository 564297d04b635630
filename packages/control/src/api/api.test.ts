import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { HoldoverError } from "@holdover/core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  AGES,
  createMemoryOperations,
  DEPLOY_PLAN,
  draft,
  ENDED,
  FORECAST,
  LENGTHS_DETAIL,
  LIVE,
  OPENED,
  RESTART_PLAN,
  startApi,
  TIMELINE,
  type RunningApi,
} from "./api-fixture.ts";

const V1 = "/v1/services/consultation/releases/v1";

describe("a call that is in order", () => {
  let running: RunningApi;
  beforeAll(async () => {
    running = await startApi();
    await running.audit.append(Array.from({ length: 250 }, (_, n) => draft(n + 1)));
  });
  afterAll(() => running.stop());
  const last = () => running.operations.calls.at(-1);
  const post = (path: string, body?: unknown) => running.bySocket(path, { method: "POST", body });

  test("shows the status, a service and a release", async () => {
    expect((await running.bySocket("/v1/status")).json()).toEqual(running.operations.status());
    expect((await running.bySocket("/v1/services/consultation")).json()).toMatchObject({
      name: "consultation",
      current: "v1",
    });
    expect((await running.bySocket(V1)).json()).toMatchObject({ id: "v1", state: "current", sessions: { open: 2 } });
  });

  test("deploys: 202 with the release as it is now, and promotes unless something else is asked for", async () => {
    const answer = await post("/v1/services/consultation/releases", {
      release: "v2",
      dir: "/srv/v2",
      definition: { command: "x" },
    });
    expect([answer.status, answer.json()]).toMatchObject([202, { id: "v2", state: "starting" }]);
    expect(last()).toEqual([
      "deploy",
      "consultation",
      { release: "v2", dir: "/srv/v2", definition: { command: "x" }, then: { then: "promote" } },
      "operator",
    ]);
    await post("/v1/services/consultation/releases", { release: "v3", then: { then: "ramp", percent: 5 } });
    expect(last()?.[2]).toEqual({ release: "v3", then: { then: "ramp", percent: 5 } });
  });

  test("promotes, ramps, retires and rolls back", async () => {
    expect((await post(`${V1}/promote`)).status).toBe(200);
    expect((await post(`${V1}/ramp`, { percent: 12.5 })).json()).toMatchObject({ id: "v1" });
    expect(last()).toEqual(["ramp", "consultation", "v1", 12.5, "operator"]);
    await post(`${V1}/retire`, { now: true });
    expect(last()).toEqual(["retire", "consultation", "v1", true, "operator"]);
    await post("/v1/services/consultation/rollback", { to: "v1", sessions: "cut" });
    expect(last()).toEqual(["rollback", "consultation", { to: "v1", sessions: "cut" }, "operator"]);
  });

  test("deploys although a rollback would lose state, where that is asked for; tries two releases", async () => {
    await post("/v1/services/consultation/releases", { release: "v3", allowStateLoss: true });
    expect(last()?.[2]).toEqual({ release: "v3", then: { then: "promote" }, allowStateLoss: true });
    const answer = await post("/v1/services/consultation/compatibility", { from: "v1", to: "v1" });
    expect(last()).toEqual(["compatibility", "consultation", "v1", "v1"]);
    expect((await post("/v1/services/consultation/samples")).json()).toEqual({
      samples: [{ format: "cart", version: 1, value: { items: ["*"] } }],
      withheld: 3,
    });
    expect(answer.json()).toMatchObject({ reads: true, readsBack: false, samples: 1, formats: [{ format: "cart" }] });
  });

  test.each([undefined, "", "{}"])("may leave out a body in which all has a default: %j", async (body) => {
    expect((await post(`${V1}/retire`, body)).status).toBe(200);
    expect(last()).toEqual(["retire", "consultation", "v1", false, "operator"]);
    expect((await post("/v1/services/consultation/rollback", body)).status).toBe(200);
    expect(last()?.[2]).toEqual({ sessions: "finish" });
  });

  test("tells of a service over time: how many sessions, how old, and how long they last", async () => {
    const service = "/v1/services/consultation";
    expect((await running.bySocket(`${service}/timeline`)).json()).toEqual(TIMELINE);
    expect(last()).toEqual(["timeline", "consultation", { points: 240 }]);
    await running.bySocket(`${service}/timeline?fromMs=1700000000000&untilMs=1700000060000.5&points=2`);
    expect(last()?.[2]).toEqual({ fromMs: 1_700_000_000_000, untilMs: 1_700_000_060_000.5, points: 2 });
    expect((await running.bySocket(`${service}/lengths`)).json()).toEqual(LENGTHS_DETAIL);
    expect((await running.bySocket(`${service}/ages`)).json()).toEqual(AGES);
    for (const name of ["timeline", "lengths", "ages"]) {
      expect((await running.bySocket(`/v1/services/unknown/${name}`)).code()).toBe("SERVICE_UNKNOWN");
    }
  });

  test("tells forecasts and plans", async () => {
    expect((await running.bySocket(`${V1}/forecast`)).json()).toEqual(FORECAST);
    expect(last()).toEqual(["forecast", "consultation", "v1"]);
    expect((await running.bySocket("/v1/services/consultation/deploy-plan")).json()).toEqual(DEPLOY_PLAN);
    const restart = await running.bySocket("/v1/services/consultation/restart?waitMs=1000&graceMs=30000&batch=2");
    expect(restart.json()).toEqual(RESTART_PLAN);
    expect(last()).toEqual(["restartPlan", "consultation", { batch: 2, waitMs: 1000, graceMs: 30_000 }]);
  });

  test("prepares a cutover and restarts, and calls either off", async () => {
    await post("/v1/services/consultation/prepare", { inMs: 3_600_000 });
    expect(last()).toEqual(["prepare", "consultation", { inMs: 3_600_000 }, "operator"]);
    await post("/v1/services/consultation/restart", { waitMs: 0 });
    expect(last()).toEqual(["restart", "consultation", { batch: 1, waitMs: 0 }, "operator"]);
    for (const what of ["prepare", "restart"]) {
      expect((await running.bySocket(`/v1/services/consultation/${what}`, { method: "DELETE" })).status).toBe(200);
    }
    expect(running.operations.calls.slice(-2).map(([name]) => name)).toEqual(["unprepare", "stopRestart"]);
  });

  test("reads logs, instances, sessions and history, with a limit of 100 unless one is given", async () => {
    expect((await running.bySocket(`${V1}/log`)).json()).toEqual({ lines: ["one", "two"] });
    expect(last()).toEqual(["logs", "consultation", "v1", undefined, 100]);
    await running.bySocket(`${V1}/log?instance=consultation-v1-1&lines=10000`);
    expect(last()).toEqual(["logs", "consultation", "v1", "consultation-v1-1", 10_000]);
    expect((await running.bySocket("/v1/instances")).json()).toEqual({ instances: running.operations.instances() });
    expect((await running.bySocket("/v1/sessions?service=consultation&release=v1&key=room-7")).json()).toEqual({
      sessions: [LIVE],
      matches: 7,
    });
    const exact = { service: "consultation", release: "v1", key: "room-7", order: "oldest", limit: 100 };
    expect(last()).toEqual(["sessions", exact]);
    await running.bySocket("/v1/sessions?search=M-7&state=lingering&order=newest&limit=5");
    expect(last()).toEqual(["sessions", { search: "M-7", state: "lingering", order: "newest", limit: 5 }]);
    expect((await running.bySocket("/v1/history?service=consultation&limit=3")).json()).toEqual({ sessions: [ENDED] });
    expect(last()).toEqual(["history", { service: "consultation" }, 3]);
  });

  test("opens a session: 201 where a worker has taken it, with what was left out filled in", async () => {
    const answer = await post("/v1/services/consultation/sessions", {});
    expect([answer.status, answer.json()]).toEqual([
      201,
      { key: "call-1", release: "v1", instance: "consultation-v1-1", fence: 4 },
    ]);
    const bare = { key: null, agent: "default", tenant: null, label: null, payload: null };
    expect(last()).toEqual(["open", { ...bare, service: "consultation" }]);
    const body = {
      key: "call-1",
      agent: "echo",
      tenant: "acme",
      label: "short",
      payload: { url: "ws://127.0.0.1:1/" },
    };
    await post("/v1/services/consultation/sessions", body);
    expect(last()).toEqual(["open", { ...body, service: "consultation" }]);
  });

  test("tells the story of a session by its key, which may be any text", async () => {
    const answer = await running.bySocket(`/v1/services/consultation/session?key=${encodeURIComponent("<b>&é/")}`);
    expect(answer.json()).toEqual({
      service: "consultation",
      key: "<b>&é/",
      live: LIVE,
      ended: [ENDED],
      entries: [{ ...draft(1), seq: 1, hash: "0" }],
    });
    expect((await running.bySocket("/v1/services/unknown/session?key=a")).code()).toBe("SERVICE_UNKNOWN");
  });

  test("seeks in the audit log: by service, release, session, kinds and time, the first ones or the last", async () => {
    const found = async (query: string) =>
      ((await running.bySocket(`/v1/audit?${query}`)).json() as { entries: { seq: number }[] }).entries.map(
        ({ seq }) => seq,
      );
    expect(await found("service=consultation&sinceMs=249")).toEqual([249, 250]);
    expect(await found("kind=release.&tail=2")).toEqual([249, 250]);
    expect(await found("kind=release.current&kind=instance.&after=3&limit=2")).toEqual([4, 5]);
    for (const nothing of ["service=x", "release=v1", "session=a", "kind=release.retired", "kind=instance."]) {
      expect(await found(nothing)).toEqual([]);
    }
  });

  test("pages through the audit log, shows its end, and verifies it", async () => {
    const seqs = async (query: string) =>
      ((await running.bySocket(`/v1/audit${query}`)).json() as { entries: { seq: number }[] }).entries.map(
        ({ seq }) => seq,
      );
    expect(await seqs("")).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
    expect(await seqs("?after=248&limit=10")).toEqual([249, 250]);
    expect(await seqs("?after=250")).toEqual([]);
    expect(await seqs("?tail=2")).toEqual([249, 250]);
    const first = (await running.bySocket("/v1/audit?limit=1")).json();
    expect(first).toEqual({ entries: [{ ...draft(1), seq: 1, hash: running.audit.stored[0]?.hash }] });
    const verdict = await running.bySocket("/v1/audit/verify");
    expect(verdict.json()).toEqual({ entries: 250, head: running.audit.stored.at(-1)?.hash, signed: null });
    const exported = await running.bySocket("/v1/audit/export?after=100&until=249");
    expect([exported.status, exported.headers["content-type"]]).toEqual([200, "application/x-ndjson; charset=utf-8"]);
    const lines = exported.text.split("\n");
    expect([lines.length, lines[0]]).toEqual([1 + 149 + 1 + 1, expect.stringContaining('"from":{"seq":100,')]);
    expect(lines[1]).toBe(JSON.stringify((await running.audit.read(100, 1))[0]));
    expect(lines.at(-2)).toMatch(/^\{"signedHead":\{"from":\{"seq":100,.*"seq":249,/);
    expect((await running.bySocket("/v1/audit/export?until=251")).code()).toBe("REQUEST_INVALID");
  });

  test("probes the process and reads its metrics", async () => {
    expect((await running.bySocket("/healthz")).json()).toEqual({ ok: true });
    expect((await running.bySocket("/readyz")).json()).toEqual({ ok: true });
    const metrics = await running.bySocket("/metrics");
    expect(metrics.text).toBe("holdover_link_up 1\n");
    expect(metrics.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  test("is never kept by a cache", async () => {
    expect((await running.bySocket("/v1/status")).headers["cache-control"]).toBe("no-store");
  });
});

describe("a call that is not in order", () => {
  let running: RunningApi;
  beforeAll(async () => {
    running = await startApi();
  });
  beforeEach(() => {
    running.operations.calls.length = 0;
  });
  afterAll(() => running.stop());

  test.each([
    ["GET", "/v1/services/unknown", undefined, 404, "SERVICE_UNKNOWN"],
    ["GET", "/v1/services/unknown/releases/v1", undefined, 404, "SERVICE_UNKNOWN"],
    ["GET", "/v1/services/consultation/releases/v9", undefined, 404, "RELEASE_UNKNOWN"],
    ["POST", "/v1/services/consultation/releases/v9/promote", undefined, 404, "RELEASE_UNKNOWN"],
    ["POST", "/v1/services/consultation/releases/v9/ramp", { percent: 1 }, 404, "RELEASE_UNKNOWN"],
    ["POST", "/v1/services/consultation/releases/v9/retire", undefined, 404, "RELEASE_UNKNOWN"],
    ["POST", "/v1/services/unknown/rollback", undefined, 404, "SERVICE_UNKNOWN"],
    ["POST", "/v1/services/consultation/compatibility", { from: "v1", to: "v9" }, 404, "RELEASE_UNKNOWN"],
    ["POST", "/v1/services/consultation/compatibility", { from: "v1" }, 400, "REQUEST_INVALID"],
    ["POST", "/v1/services/unknown/sessions", {}, 404, "SERVICE_UNKNOWN"],
    ["GET", "/v1/services/consultation/releases/v9/forecast", undefined, 404, "RELEASE_UNKNOWN"],
    ["POST", "/v1/services/unknown/samples", undefined, 404, "SERVICE_UNKNOWN"],
    ["GET", "/v1/services/unknown/deploy-plan", undefined, 404, "SERVICE_UNKNOWN"],
    ["POST", "/v1/services/unknown/prepare", { inMs: 1000 }, 404, "SERVICE_UNKNOWN"],
    ["DELETE", "/v1/services/unknown/restart", undefined, 404, "SERVICE_UNKNOWN"],
    ["GET", "/v2/status", undefined, 404, "ROUTE_UNKNOWN"],
    ["DELETE", "/v1/status", undefined, 404, "ROUTE_UNKNOWN"],
    ["POST", "/v1/status", { some: "body" }, 404, "ROUTE_UNKNOWN"],
    ["GET", "/v1/services/%zz", undefined, 400, "REQUEST_INVALID"],
  ])("%s %s %j is answered with %i %s", async (method, path, body, status, code) => {
    const answer = await running.bySocket(path, { method, body });
    expect([answer.status, answer.code()]).toEqual([status, code]);
    const { error } = answer.json() as { error: object };
    expect(Object.keys(error)).toEqual(["code", "what", "next", "details"]);
  });

  test.each([
    [`${V1}/ramp`, {}, "body.percent"],
    [`${V1}/ramp`, { percent: "5" }, "body.percent: Invalid input: expected number"],
    [`${V1}/ramp`, { percent: 0 }, "body.percent: Too small: expected number to be >0"],
    [`${V1}/ramp`, { percent: 101 }, "body.percent: Too big: expected number to be <=100"],
    [`${V1}/ramp`, [5], "body: Invalid input: expected object"],
    [`${V1}/ramp`, undefined, "body.percent: Invalid input: expected number"],
    [`${V1}/retire`, { nwo: true }, 'body: Unrecognized key: "nwo"'],
    ["/v1/services/consultation/rollback", { sessions: "keep" }, "body.sessions"],
    ["/v1/services/consultation/releases", { release: "../up" }, "body.release: a release id is 1 to 64"],
    ["/v1/services/consultation/releases", { release: "v2", then: { then: "ramp" } }, "body.then.percent"],
    ["/v1/services/Not_A_Name/releases", { release: "v2" }, "path.service: a service name is"],
    ["/v1/services/consultation/prepare", {}, "body.inMs"],
    ["/v1/services/consultation/prepare", { inMs: 999 }, "body.inMs: Too small: expected number to be >=1000"],
    ["/v1/services/consultation/prepare", { inMs: 1000, lingerMs: -1 }, "body.lingerMs: Too small"],
    ["/v1/services/consultation/restart", {}, "body.waitMs"],
    ["/v1/services/consultation/restart", { waitMs: 0, batch: 0 }, "body.batch: Too small"],
    ["/v1/services/consultation/sessions", { key: "" }, "body.key: Too small"],
    ["/v1/services/consultation/sessions", { key: "é".repeat(129) }, "body.key: it is over 256 bytes"],
    ["/v1/services/consultation/sessions", { agent: "a\u0000" }, "body.agent: it has control characters"],
    ["/v1/services/consultation/sessions", { tenant: 7 }, "body.tenant: Invalid input: expected string"],
    ["/v1/services/consultation/sessions", { payload: "x".repeat(65_536) }, "body.payload: it has 65538 bytes of JSON"],
    ["/v1/services/consultation/sessions", { paylaod: 1 }, 'body: Unrecognized key: "paylaod"'],
    ["/v1/shutdown", { now: "yes" }, "body.now: Invalid input: expected boolean"],
  ])("POST %s %j is refused and the field is named: %s", async (path, body, problem) => {
    const answer = await running.bySocket(path, { method: "POST", body });
    expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
    expect((answer.json() as { error: { what: string } }).error.what).toContain(problem);
    expect(running.operations.calls).toEqual([]);
  });

  test.each([
    ["/v1/sessions?limit=0", "query.limit"],
    [`/v1/sessions?search=${"x".repeat(257)}`, "query.search: Too big"],
    ["/v1/sessions?state=ended", "query.state: Invalid option"],
    ["/v1/sessions?order=", "query.order: Invalid option"],
    ["/v1/services/consultation/session", "query.key: Invalid input: expected string"],
    ["/v1/services/consultation/session?key=", "query.key: Too small"],
    ["/v1/services/consultation/timeline?points=1", "query.points: Too small"],
    ["/v1/services/consultation/timeline?points=1001", "query.points: Too big"],
    ["/v1/services/consultation/timeline?fromMs=now", "query.fromMs"],
    ["/v1/services/consultation/timeline?untilMs=Infinity", "query.untilMs"],
    ["/v1/audit?kind=release", "query.kind.0: write a kind"],
    ["/v1/audit?kind=a.&kind=%27%20OR%201", "query.kind.1: write a kind"],
    [`/v1/audit?${"kind=a.b&".repeat(21)}`, "query.kind: Too big"],
    ["/v1/audit?sinceMs=yesterday", "query.sinceMs"],
    ["/v1/sessions?limit=10001", "query.limit: Too big: expected number to be <=10000"],
    ["/v1/sessions?limit=ten", "query.limit: Invalid input: expected number"],
    ["/v1/sessions?limit=1.5", "query.limit: Invalid input: expected int"],
    ["/v1/sessions?service=a&service=b", "query.service: Invalid input: expected string"],
    ["/v1/sessions?serivce=consultation", 'query: Unrecognized key: "serivce"'],
    ["/v1/services/consultation/restart", "query.waitMs"],
    ["/v1/services/consultation/restart?waitMs=-1", "query.waitMs: Too small"],
    [`${V1}/log?lines=-1`, "query.lines"],
    ["/v1/audit?after=-1", "query.after"],
    ["/v1/audit?after=1&tail=1", "query.tail: send either `after` or `tail`"],
    ["/v1/events?after=x", "query.after"],
  ])("GET %s is refused and the field is named: %s", async (path, problem) => {
    const answer = await running.bySocket(path);
    expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
    expect((answer.json() as { error: { what: string } }).error.what).toContain(problem);
  });

  test.each([
    ["broken JSON", '{"percent": 5', "application/json", "not valid JSON"],
    ["a key that would change a prototype", '{"__proto__": {"percent": 5}}', "application/json", "not valid JSON"],
    ["text, which a web page may send without asking", '{"percent": 5}', "text/plain", "application/json"],
    ["a form", "percent=5", "application/x-www-form-urlencoded", "application/json"],
  ])("a body of %s is refused", async (_what, body, type, problem) => {
    const answer = await running.bySocket(`${V1}/ramp`, { method: "POST", body, headers: { "content-type": type } });
    expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
    expect(answer.text).toContain(problem);
    expect(running.operations.calls).toEqual([]);
  });

  test("a body over 1 MiB is refused by its declared length, before it is sent", async () => {
    const outgoing = request({
      socketPath: running.socketPath,
      path: "/v1/services/consultation/releases",
      method: "POST",
      agent: false,
      headers: { "content-type": "application/json", "content-length": 1024 * 1024 + 1 },
    });
    outgoing.flushHeaders();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    expect(answer.statusCode).toBe(400);
    answer.resume();
    await once(answer, "end");
    outgoing.destroy();
  });

  test("a body over 1 MiB without a declared length is refused once it has grown so large", async () => {
    const outgoing = request({
      socketPath: running.socketPath,
      path: "/v1/services/consultation/releases",
      method: "POST",
      agent: false,
      headers: { "content-type": "application/json", "transfer-encoding": "chunked" },
    });
    // The rest of the body may meet a closed connection: that is the point.
    outgoing.on("error", () => {});
    outgoing.write("x".repeat(1024 * 1024 + 1));
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of answer) text += String(chunk);
    outgoing.destroy();
    expect(answer.statusCode).toBe(400);
    expect(text).toContain("longer than this call takes");
  });
});

describe("when control cannot do it", () => {
  let running: RunningApi | undefined;
  afterEach(async () => {
    await running?.stop();
    running = undefined;
  });

  test("the error of the operation is the answer, with the status of the table", async () => {
    const refuse = async () => {
      throw new HoldoverError("RELEASE_TRANSITION", {
        release: "v1",
        from: "retired",
        to: "current",
        allowed: "starting",
      });
    };
    running = await startApi({}, createMemoryOperations({ promote: refuse }));
    const answer = await running.bySocket(`${V1}/promote`, { method: "POST" });
    expect(answer.status).toBe(409);
    expect(answer.json()).toEqual({
      error: {
        code: "RELEASE_TRANSITION",
        what: "Release v1 is retired and cannot become current.",
        next: "See `holdover status` for what it is now; from retired it can become: starting.",
        details: { release: "v1", from: "retired", to: "current", allowed: "starting" },
      },
    });
    expect(running.logged).toEqual([]);
  });

  test("a session that no worker took is answered with 503 and what they said, one that runs already with 200", async () => {
    const said = { service: "consultation", key: "call-1", reasons: "2 full, 1 draining" };
    const none = async () => {
      throw new HoldoverError("WORKER_NONE", said);
    };
    running = await startApi({}, createMemoryOperations({ open: none }));
    const refused = await running.bySocket("/v1/services/consultation/sessions", { method: "POST", body: {} });
    expect([refused.status, refused.json()]).toMatchObject([503, { error: { code: "WORKER_NONE", details: said } }]);
    expect(refused.text).toContain("2 full, 1 draining");
    await running.stop();
    running = await startApi({}, createMemoryOperations({ open: async () => ({ ...OPENED, already: true }) }));
    const there = await running.bySocket("/v1/services/consultation/sessions", { method: "POST", body: {} });
    expect([there.status, there.json()]).toEqual([
      200,
      { key: "call-1", release: "v1", instance: "consultation-v1-1", fence: 4 },
    ]);
  });

  test("a defect is answered as INTERNAL without its stack, and logged with its cause", async () => {
    const fail = async () => {
      throw new TypeError("boom");
    };
    running = await startApi({}, createMemoryOperations({ sessions: fail }));
    const answer = await running.bySocket("/v1/sessions");
    expect([answer.status, answer.code()]).toEqual([500, "INTERNAL"]);
    expect(answer.text).not.toContain("at ");
    expect(running.logged).toEqual(["Something went wrong inside Holdover: boom boom"]);
  });

  test("an answer that does not fit its schema is a defect, and not sent", async () => {
    const wrong = async () => ({ sessions: [{ ...LIVE, fence: "3" } as unknown as typeof LIVE], matches: 1 });
    running = await startApi({}, createMemoryOperations({ sessions: wrong }));
    const answer = await running.bySocket("/v1/sessions");
    expect([answer.status, answer.code()]).toEqual([500, "INTERNAL"]);
    expect(running.logged).toHaveLength(1);
  });

  test("a broken audit chain is told with the entry at which it breaks", async () => {
    running = await startApi();
    await running.audit.append([draft(1), draft(2), draft(3)]);
    const { stored } = running.audit;
    stored[1] = { seq: 2, hash: stored[1]?.hash ?? "", body: JSON.stringify(draft(22)) };
    const answer = await running.bySocket("/v1/audit/verify");
    expect(answer.status).toBe(500);
    expect(answer.json()).toMatchObject({ error: { code: "AUDIT_BROKEN", details: { seq: 2 } } });
  });

  test("/readyz says why it is not ready, and /healthz goes on", async () => {
    running = await startApi({ ready: () => "the host is not linked" });
    const answer = await running.byTcp("/readyz", { headers: {} });
    expect(answer.status).toBe(503);
    expect(answer.json()).toMatchObject({
      error: { code: "CONTROL_BUSY", details: { problem: "the host is not linked" } },
    });
    expect((await running.bySocket("/healthz")).status).toBe(200);
  });

  test("a shutdown that is refused is answered with the error", async () => {
    const refuse = async () => {
      throw new HoldoverError("LINK_DOWN");
    };
    running = await startApi({}, createMemoryOperations({ shutdown: refuse }));
    const answer = await running.bySocket("/v1/shutdown", { method: "POST" });
    expect([answer.status, answer.code()]).toEqual([503, "LINK_DOWN"]);
  });

  test("a shutdown that takes long is accepted meanwhile, and its late failure is logged", async () => {
    const called = Promise.withResolvers<void>();
    const ending = Promise.withResolvers<void>();
    const shutdown = (now: boolean, actor: string) => {
      expect([now, actor]).toEqual([true, "operator"]);
      called.resolve();
      return ending.promise;
    };
    running = await startApi({}, createMemoryOperations({ shutdown }));
    const answering = running.bySocket("/v1/shutdown", { method: "POST", body: { now: true } });
    await called.promise;
    running.clock.advance(1000);
    const answer = await answering;
    expect([answer.status, answer.json()]).toEqual([202, { accepted: true }]);
    ending.reject(new Error("the host is gone"));
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(running.logged).toEqual(["the shutdown failed after it was accepted the host is gone"]);
  });
});

describe("a backup", () => {
  let running: RunningApi;
  afterEach(() => running.stop());
  const backup = (dir: string) => running.bySocket("/v1/backup", { method: "POST", body: { dir } });

  test("is written once at a time, and told in the audit log when it is there", async () => {
    const asked: string[] = [];
    const written = Promise.withResolvers<void>();
    const called = Promise.withResolvers<void>();
    running = await startApi({
      copyStores: (dir) => {
        asked.push(dir);
        called.resolve();
        return written.promise;
      },
    });
    const answering = backup("/backups/1");
    await called.promise;
    const second = await backup("/backups/2");
    expect([second.status, second.code()]).toEqual([503, "CONTROL_BUSY"]);
    expect(await running.audit.tail(1)).toEqual([]);
    written.resolve();
    expect((await answering).json()).toEqual({ ok: true });
    expect(await running.audit.tail(1)).toMatchObject([
      { kind: "backup.written", actor: "operator", detail: { dir: "/backups/1" } },
    ]);
    expect(asked).toEqual(["/backups/1"]);
  });

  test("that fails is told as such, leaves no entry, and the next one is begun", async () => {
    let times = 0;
    running = await startApi({
      copyStores: async (dir) => {
        times += 1;
        if (times === 1) throw new HoldoverError("BACKUP_FAILED", { dir, problem: "the disk is full" });
      },
    });
    const answer = await backup("/backups/1");
    expect([answer.status, answer.code()]).toEqual([507, "BACKUP_FAILED"]);
    expect(await running.audit.tail(1)).toEqual([]);
    expect((await backup("/backups/1")).status).toBe(200);
    expect((await backup("backups/1")).code()).toBe("REQUEST_INVALID");
  });
});

describe("close()", () => {
  test("lets what is being answered come to its end, takes no more, and may be called twice", async () => {
    const called = Promise.withResolvers<void>();
    const history = Promise.withResolvers<(typeof ENDED)[]>();
    const running = await startApi(
      {},
      createMemoryOperations({
        history: () => {
          called.resolve();
          return history.promise;
        },
      }),
    );
    const answering = running.bySocket("/v1/history");
    await called.promise;
    const closed = Promise.all([running.api.close(), running.api.close()]);
    await expect(running.byTcp("/healthz")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    history.resolve([ENDED]);
    const answer = await answering;
    expect([answer.status, answer.headers.connection]).toEqual([200, "close"]);
    await closed;
    await running.stop();
  });

  test("cuts after its grace what does not come to an end", async () => {
    const called = Promise.withResolvers<void>();
    const running = await startApi(
      {},
      createMemoryOperations({
        history: () => {
          called.resolve();
          return new Promise(() => {});
        },
      }),
    );
    const answering = running.bySocket("/v1/history").catch((error: unknown) => error);
    await called.promise;
    const closed = running.api.close();
    running.clock.advance(5000);
    expect(await answering).toMatchObject({ code: "ECONNRESET" });
    await closed;
    await running.stop();
  });
});

test("the status tells of the sinks of the audit log, where there are any", async () => {
  const failure = { problem: "it answered with 500", sinceMs: 5 };
  const auditSinks = [{ name: "webhook https://x.example/", sentSeq: 3, backlog: 4, failure }];
  const withSinks = await startApi({ auditSinks: () => auditSinks });
  const without = await startApi();
  try {
    expect((await withSinks.bySocket("/v1/status")).json()).toMatchObject({ version: "1.2.3", auditSinks });
    expect((await without.bySocket("/v1/status")).json()).not.toHaveProperty("auditSinks");
  } finally {
    await withSinks.stop();
    await without.stop();
  }
});
