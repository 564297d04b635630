import { describe, expect, test } from "vitest";
import { z } from "zod";
import { holdoverConfig } from "./service.ts";

type Given = Readonly<Record<string, unknown>>;
const read = (service: Given, rest: Given = {}) =>
  holdoverConfig.safeParse({ ...rest, services: { rooms: { command: "serve", ...service } } });

function serviceOf(given: Given) {
  const result = read(given);
  if (!result.success) throw new Error(z.prettifyError(result.error));
  return result.data.services["rooms"];
}

/** What a person reads: the sentence and the place. */
function problemsOf(config: unknown): string[] {
  const { error } = holdoverConfig.safeParse(config);
  return (error?.issues ?? []).map(({ message, path }) => `${path.join(".")}: ${message}`);
}

describe("what the configuration leaves out", () => {
  test("has these defaults", () => {
    expect(holdoverConfig.parse({ services: { rooms: { command: "serve" } } })).toEqual({
      listen: "127.0.0.1:8080",
      api: "127.0.0.1:8090",
      state: ".holdover",
      trustForwarded: false,
      accessLog: false,
      limits: { sessions: 1_000_000, headBytes: 16_384, headTimeout: 10_000 },
      audit: { sinks: [] },
      shutdownGrace: 25_000,
      services: {
        rooms: {
          hosts: [],
          path: "/",
          command: ["serve"],
          env: {},
          instances: 1,
          session: { key: [], linger: 60_000 },
          health: { startTimeout: 30_000, interval: 2000, timeout: 1000 },
          retention: {
            policy: "budget",
            disruptionBudget: 0,
            ceiling: 86_400_000,
            floor: 300_000,
            grace: 30_000,
            wedgedAfter: 600_000,
            cutWedged: false,
          },
          disconnects: { atOnce: 0.05, period: 1000 },
          connectionAgeGrace: 30_000,
          stopGrace: 10_000,
        },
      },
    });
  });

  test("is filled in beside what is given", () => {
    expect(serviceOf({ health: { path: "/up" }, session: { linger: "5m" } })).toMatchObject({
      health: { path: "/up", startTimeout: 30_000, interval: 2000, timeout: 1000 },
      session: { key: [], linger: 300_000 },
    });
    expect(serviceOf({ retention: { policy: "fixed", window: "1h" } })).toMatchObject({
      retention: { policy: "fixed", window: 3_600_000, floor: 300_000, grace: 30_000 },
    });
    expect(serviceOf({ retention: { policy: "quantile", ceiling: "1m" } })).toMatchObject({
      retention: { policy: "quantile", quantile: 0.95, factor: 1, ceiling: 60_000, floor: 60_000 },
    });
    // A fixed window is no longer for being kept warm.
    expect(serviceOf({ retention: { policy: "fixed", window: "1m", floor: "1h" } })).toMatchObject({
      retention: { floor: 60_000 },
    });
    expect(serviceOf({ gate: { command: "check" } })).toMatchObject({ gate: { command: ["check"], timeout: 60_000 } });
  });
});

describe("what people write is read as they mean it", () => {
  test.each([
    ["node  server.js --port 1", ["node", "server.js", "--port", "1"]],
    [" serve ", ["serve"]],
    [
      ["my app", "x y"],
      ["my app", "x y"],
    ],
  ])("the command %j is %j", (command, expected) => {
    expect(serviceOf({ command })).toMatchObject({ command: expected });
  });

  test.each([
    ["0%", 0],
    [0, 0],
    ["5%", 0.05],
    [1, 1],
  ])("the disruption budget %j is %d", (disruptionBudget, expected) => {
    expect(serviceOf({ retention: { policy: "budget", disruptionBudget } })).toMatchObject({
      retention: { disruptionBudget: expected },
    });
  });

  test.each([
    ["5%", 0.05],
    ["0.5%", 0.005],
    ["100%", 1],
    [0.05, 0.05],
    [1, 1],
    ["0.05", 0.05],
  ])("the share %j is %d", (atOnce, expected) => {
    expect(serviceOf({ disconnects: { atOnce } })).toMatchObject({ disconnects: { atOnce: expected } });
  });

  test("host and header names in any case are the same", () => {
    const hosts = ["App.Example.COM", "*.EU.example.com", "localhost", "my_app", "10.0.0.1", "[::1]"];
    expect(serviceOf({ hosts, session: { key: [{ header: "X-Room" }] } })).toMatchObject({
      hosts: ["app.example.com", "*.eu.example.com", "localhost", "my_app", "10.0.0.1", "[::1]"],
      session: { key: [{ header: "x-room" }] },
    });
  });

  test("a port of 0 asks for a free one, and an address may be IPv6", () => {
    expect(read({}, { listen: "[::]:0", api: "localhost:65535" }).success).toBe(true);
  });
});

describe("what cannot be meant is refused, with its place and what to write instead", () => {
  const duration = "write a duration with its unit, for example 30s, 5m or 1h";
  const place = "write one of header, query, path and cookie with its name, for example { query: room }";
  const pattern = "a path pattern starts with / and has one part such as :room, between slashes";
  const command = 'write a command as a text or a list of texts, for example "node server.js"';
  const host =
    "write a host name without scheme and port, for example app.example.com or *.example.com; for any host leave `hosts` out";
  const release = "a release id is 1 to 64 of letters, digits, dot, dash and underscore, the first a letter or a digit";

  test.each<[Given, string]>([
    [{ session: { linger: 30 } }, `session.linger: ${duration}`],
    [{ session: { linger: "30" } }, 'session.linger: "30" is not a duration; write for example 30s, 5m or 1h'],
    [{ session: { linger: "-1s" } }, 'session.linger: "-1s" is not a duration; write for example 30s, 5m or 1h'],
    [{ session: { key: [{ heder: "x" }] } }, `session.key.0: ${place}`],
    [{ session: { key: [{ header: "a", query: "b" }] } }, `session.key.0: ${place}`],
    [{ session: { key: [{}] } }, `session.key.0: ${place}`],
    [{ session: { key: ["room"] } }, `session.key.0: ${place}`],
    [{ session: { key: { query: "room" } } }, "session.key: Invalid input: expected array, received object"],
    [{ session: { key: [{ header: "x room" }] } }, "session.key.0.header: this is no header name"],
    [{ session: { key: [{ query: "" }] } }, "session.key.0.query: Too small: expected string to have >=1 characters"],
    [{ session: { key: [{ path: "rooms/:room" }] } }, `session.key.0.path: ${pattern}`],
    [{ session: { key: [{ path: "/rooms" }] } }, `session.key.0.path: ${pattern}`],
    [{ session: { key: [{ path: "/rooms/x:room" }] } }, `session.key.0.path: ${pattern}`],
    [{ session: { key: [{ path: "/:org/:room" }] } }, `session.key.0.path: ${pattern}`],
    [{ session: { keys: [] } }, 'session: Unrecognized key: "keys"'],
    [{ hosts: ["https://example.com"] }, `hosts.0: ${host}`],
    [{ hosts: ["example.com:8080"] }, `hosts.0: ${host}`],
    [{ hosts: ["*"] }, `hosts.0: ${host}`],
    [{ hosts: ["a.*.com"] }, `hosts.0: ${host}`],
    [{ hosts: [""] }, `hosts.0: ${host}`],
    [{ path: "app" }, 'path: Invalid string: must start with "/"'],
    [{ dir: "" }, "dir: Too small: expected string to have >=1 characters"],
    [{ release: ".hidden" }, `release: ${release}`],
    [{ release: "a/b" }, `release: ${release}`],
    [{ release: "a".repeat(65) }, `release: ${release}`],
    [{ command: 5 }, `command: ${command}`],
    [{ command: " " }, `command: ${command}`],
    [{ command: [""] }, "command.0: Too small: expected string to have >=1 characters"],
    [{ command: [] }, "command: Too small: expected array to have >=1 items"],
    [{ command: undefined }, `command: ${command}`],
    [{ env: { "MY VAR": "x" } }, "env.MY VAR: this is no name of a variable"],
    [{ env: { PORT: 1 } }, "env.PORT: Invalid input: expected string, received number"],
    [{ instances: 0 }, "instances: Too small: expected number to be >=1"],
    [{ instances: 257 }, "instances: Too big: expected number to be <=256"],
    [{ instances: 1.5 }, "instances: Invalid input: expected int, received number"],
    [{ capacity: 0 }, "capacity: Too small: expected number to be >=1"],
    [{ health: { path: "up" } }, 'health.path: Invalid string: must start with "/"'],
    [{ health: { interval: "0s" } }, 'health.interval: "0s" is too short; write for example 30s, 5m or 1h'],
    [{ health: { timeout: "0.4ms" } }, 'health.timeout: "0.4ms" is too short; write for example 30s, 5m or 1h'],
    [{ health: { startTimeout: "0s" } }, 'health.startTimeout: "0s" is too short; write for example 30s, 5m or 1h'],
    [{ gate: {} }, `gate.command: ${command}`],
    [{ retention: { policy: "fixed" } }, `retention.window: ${duration}`],
    [
      { retention: { policy: "forever" } },
      "retention.policy: Invalid discriminator value. Expected 'budget' | 'quantile' | 'fixed' | 'until-empty'",
    ],
    [{ retention: { policy: "until-empty", window: "1h" } }, 'retention: Unrecognized key: "window"'],
    [
      { retention: { policy: "budget", floor: "2h", ceiling: "1h" } },
      "retention.floor: the floor of 2h is above the ceiling of 1h; raise the ceiling or lower the floor",
    ],
    [
      { retention: { policy: "budget", disruptionBudget: "101%" } },
      'retention.disruptionBudget: "101%" is not a share from 0% and up to 100%; write for example 5% or 0.05',
    ],
    [
      { retention: { policy: "budget", ceiling: "367d" } },
      'retention.ceiling: "367d" is over 366 days; write for example 30s, 5m or 1h',
    ],
    [
      { retention: { policy: "budget", ceiling: "0s" } },
      'retention.ceiling: "0s" is too short; write for example 30s, 5m or 1h',
    ],
    [{ retention: { policy: "quantile", quantile: 1 } }, "retention.quantile: Too big: expected number to be <1"],
    [{ retention: { policy: "quantile", factor: 0 } }, "retention.factor: Too small: expected number to be >0"],
    [
      { retention: { policy: "budget", maxRetained: 0 } },
      "retention.maxRetained: Too small: expected number to be >=1",
    ],
    [{ disconnects: { period: "0s" } }, 'disconnects.period: "0s" is too short; write for example 30s, 5m or 1h'],
    [{ disconnects: { atOnce: true } }, "disconnects.atOnce: write a share, for example 5% or 0.05"],
    ...["0%", "101%", "5", "-5%", "5 %", "half", 0, 1.01, -0.1].map((atOnce): [Given, string] => [
      { disconnects: { atOnce } },
      `disconnects.atOnce: "${atOnce}" is not a share above 0% and up to 100%; write for example 5% or 0.05`,
    ]),
    [{ retain: "1h" }, ': Unrecognized key: "retain"'],
  ])("of a service: %j", (given, problem) => {
    const path = problem.startsWith(":") ? `services.rooms${problem}` : `services.rooms.${problem}`;
    expect(problemsOf({ services: { rooms: { command: "serve", ...given } } })).toEqual([path]);
  });

  const address = "write an address as host:port, for example 127.0.0.1:8080";
  test.each<[Given, string]>([
    [{ listen: "8080" }, `listen: ${address}`],
    [{ listen: ":8080" }, `listen: ${address}`],
    [{ listen: "::1:8080" }, `listen: ${address}`],
    [{ api: "localhost:65536" }, "api: a port is at most 65535"],
    [{ state: "" }, "state: Too small: expected string to have >=1 characters"],
    [{ limits: { sessions: 0 } }, "limits.sessions: Too small: expected number to be >=1"],
    [{ limits: { headBytes: 100 } }, "limits.headBytes: Too small: expected number to be >=1024"],
    [{ limits: { headTimeout: "0s" } }, 'limits.headTimeout: "0s" is too short; write for example 30s, 5m or 1h'],
    [{ trustForwarded: "yes" }, "trustForwarded: Invalid input: expected boolean, received string"],
    [{ shutdownGrace: 25 }, `shutdownGrace: ${duration}`],
    [{ port: 1 }, ': Unrecognized key: "port"'],
  ])("of the whole: %j", (given, problem) => {
    expect(problemsOf({ services: { rooms: { command: "serve" } }, ...given })).toEqual([problem]);
  });

  test.each(["Rooms", "-rooms", "my_rooms", "a b", "", "a".repeat(41)])("a service called %j", (name) => {
    expect(problemsOf({ services: { [name]: { command: "serve" } } })).toEqual([
      `services.${name}: a service name is 1 to 40 of a-z, 0-9 and dash, the first no dash`,
    ]);
  });

  test("a file without services, or with none among them", () => {
    expect(problemsOf({})).toEqual(["services: declare at least one service, by its name"]);
    expect(problemsOf({ services: {} })).toEqual(["services: declare at least one service, by its name"]);
    expect(problemsOf({ services: [] })).toEqual(["services: declare at least one service, by its name"]);
  });
});

describe("the sinks of the audit log", () => {
  const parse = (...sinks: object[]) =>
    holdoverConfig.safeParse({ audit: { sinks }, services: { rooms: { command: "serve" } } });
  const webhook = (address: string) => ({ webhook: address, secretEnv: "SECRET" });

  test.each([
    [{ file: "audit.jsonl" }],
    [{ stdout: true }],
    [webhook("https://audit.example.com/in?key=1")],
    [webhook("http://127.0.0.1:8000")],
    [webhook("http://[::1]/x")],
  ])("may be %j", (sink) => {
    expect(parse(sink).data?.audit.sinks).toEqual([sink]);
  });

  test.each([
    [[{ file: "" }]],
    [[{ stdout: false }]],
    [[{}]],
    [[{ file: "a", stdout: true }]],
    [[{ webhook: "https://audit.example.com" }]],
    [[webhook("http://audit.example.com")]],
    [[webhook("http://127.0.0.1.example.com")]],
    [[webhook("http://localhost@example.com/")]],
    [[webhook("ftp://localhost/")]],
    [[webhook("")]],
    [[{ ...webhook("https://x.example"), secretEnv: "a b" }]],
    [[{ file: "a" }, { file: "a" }]],
    [[webhook("https://x.example/in?a"), webhook("https://x.example/in?b")]],
  ])("cannot be %j", (sinks) => {
    expect(parse(...sinks).success).toBe(false);
  });
});

test("the configuration has a JSON Schema, so that editors can complete and check it", () => {
  const schema = z.toJSONSchema(holdoverConfig, { io: "input" });
  expect(schema).toMatchObject({ title: "holdover.yaml", type: "object", required: ["services"] });
});
