import { z } from "zod";
import { formatDuration, parseDuration } from "./duration.ts";
import { DEFAULT_CEILING_MS } from "./windows.ts";

/** No service waits for a year, and a date further off cannot always be told. */
const MOST_MS = 366 * 86_400_000;

/** A duration in a configuration file; milliseconds once read. Of `leastMs` or more: 1 where 0 would never let go. */
const duration = (what: string, leastMs: 0 | 1 = 0) =>
  z
    .string({ error: "write a duration with its unit, for example 30s, 5m or 1h" })
    .meta({ description: `${what} A number and one of ms, s, m, h, d.`, examples: ["500ms", "30s", "5m"] })
    .transform((text, context) => {
      const ms = parseDuration(text);
      if (ms !== undefined && ms >= leastMs && ms <= MOST_MS) return ms;
      const problem = ms === undefined ? "is not a duration" : ms < leastMs ? "is too short" : "is over 366 days";
      context.addIssue({ code: "custom", message: `"${text}" ${problem}; write for example 30s, 5m or 1h` });
      return z.NEVER;
    });

/** A share of a whole: "5%" or a number, up to 1 and above 0, or from 0 where nothing is a share too. The number once read. */
const share = (what: string, least: 0 | "above 0" = "above 0") =>
  z
    .union([z.string(), z.number()], { error: "write a share, for example 5% or 0.05" })
    .meta({ description: `${what} A percentage such as 5%, or a number.`, examples: ["5%", 0.05] })
    .transform((value, context) => {
      const number = typeof value === "number" ? value : parseShare(value);
      if (number <= 1 && (number > 0 || number === least)) return number;
      const range = least === 0 ? "from 0%" : "above 0%";
      const problem = `is not a share ${range} and up to 100%; write for example 5% or 0.05`;
      context.addIssue({ code: "custom", message: `"${value}" ${problem}` });
      return z.NEVER;
    });

function parseShare(text: string): number {
  if (!/^\d+(\.\d+)?%?$/.test(text)) return Number.NaN;
  return Number.parseFloat(text) / (text.endsWith("%") ? 100 : 1);
}

export const SERVICE_NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;
export const RELEASE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export const releaseId = z
  .string()
  .regex(
    RELEASE_ID,
    "a release id is 1 to 64 of letters, digits, dot, dash and underscore, the first a letter or a digit",
  )
  .meta({ description: "A version or a git SHA.", examples: ["v2", "1.4.0", "9fceb02"] });

const command = z
  .union(
    [
      z.array(z.string().min(1)).min(1),
      z
        .string()
        .regex(/\S/)
        .transform((line) => line.trim().split(/\s+/)),
    ],
    { error: 'write a command as a text or a list of texts, for example "node server.js"' },
  )
  .meta({
    description: "The program and its arguments. A string is split at white space and no shell is involved.",
    examples: [["node", "server.js"], "node server.js"],
  });

const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "this is no header name")
  .transform((name) => name.toLowerCase());

const keyPlace = z
  .union(
    [
      z.strictObject({ header: headerName.meta({ description: "The name of a header." }) }),
      z.strictObject({ query: z.string().min(1).meta({ description: "The name of a query parameter." }) }),
      z.strictObject({
        path: z
          .string()
          .regex(
            /^(\/[^/:?#]*)*\/:\w+(\/[^/:?#]*)*$/,
            "a path pattern starts with / and has one part such as :room, between slashes",
          )
          .meta({ description: "A path pattern with one parameter: /rooms/:room", examples: ["/rooms/:room"] }),
      }),
      z.strictObject({ cookie: z.string().min(1).meta({ description: "The name of a cookie." }) }),
    ],
    { error: "write one of header, query, path and cookie with its name, for example { query: room }" },
  )
  .meta({ description: "One place where a request may carry the session key." });

/** One place of a session key: `{ header }`, `{ query }`, `{ path }` or `{ cookie }`. */
export type KeyPlace = z.output<typeof keyPlace>;

const health = z
  .strictObject({
    path: z.string().startsWith("/").optional().meta({
      description: "An HTTP path that answers 2xx or 3xx when healthy. Left out: a TCP connection is enough.",
    }),
    worker: z.boolean().optional().meta({
      description:
        "true: an instance is healthy when its worker (joinHoldover) says that it is ready, and alive while it answers. For workers that listen on no port.",
    }),
    startTimeout: duration("How long an instance may take until it is healthy.", 1).default(30_000),
    interval: duration(
      "How often a ready instance is checked; three failures in a row and it counts as lost.",
      1,
    ).default(2000),
    timeout: duration("How long one check may take.", 1).default(1000),
  })
  .refine(({ path, worker }) => path === undefined || !worker, "has both path and worker; it is asked in one way")
  .prefault({});

/** Long enough to see that a release is bad and to go back to one that still runs. */
const DEFAULT_FLOOR_MS = 300_000;

/** What every retention policy has beside its own numbers. */
const retained = {
  floor: duration(
    "How long a retained release is kept warm for a rollback, even with no session left; 5m unless set, and never more than the window.",
  ).optional(),
  grace: duration("After the window: how long what is left is asked to move, before it is cut.").default(30_000),
  maxRetained: z.int().min(1).max(100).optional().meta({
    description: "Releases retained at once at the most: with one more the oldest expires. Left out: no limit.",
  }),
  wedgedAfter: duration("A retained session without a byte or a ping for so long is shown as wedged.", 1).default(
    600_000,
  ),
  cutWedged: z.boolean().default(false).meta({ description: "Cut wedged sessions before the window is over, paced." }),
};

const ceiling = duration("Past it nothing is kept: the hard stop of a window.", 1).default(DEFAULT_CEILING_MS);

const retention = z
  .discriminatedUnion("policy", [
    z.strictObject({
      policy: z.literal("budget").meta({ description: "Keep it until at most the disruption budget is left." }),
      disruptionBudget: share("The share of the sessions live at the cutover that may be cut, 0 to 1.", 0).default(0),
      ceiling,
      ...retained,
    }),
    z.strictObject({
      policy: z
        .literal("quantile")
        .meta({ description: "Keep it for a quantile of recent session lengths, times a factor." }),
      quantile: z.number().gt(0).lt(1).default(0.95).meta({ description: "0.95 is P95." }),
      factor: z.number().gt(0).max(100).default(1),
      ceiling,
      ...retained,
    }),
    z.strictObject({
      policy: z.literal("fixed").meta({ description: "Keep it for a fixed time." }),
      window: duration("How long a retained release may finish its sessions."),
      ...retained,
    }),
    z.strictObject({
      policy: z.literal("until-empty").meta({ description: "Keep it until its last session has ended." }),
      ...retained,
    }),
  ])
  .transform((policy, context) => {
    // A fixed window is a promise of when it ends; being kept warm does not lengthen it.
    if (policy.policy === "fixed") {
      return { ...policy, floor: Math.min(policy.floor ?? DEFAULT_FLOOR_MS, policy.window) };
    }
    const most = "ceiling" in policy ? policy.ceiling : Infinity;
    const floor = policy.floor ?? Math.min(DEFAULT_FLOOR_MS, most);
    if (floor <= most) return { ...policy, floor };
    const spans = `the floor of ${formatDuration(floor)} is above the ceiling of ${formatDuration(most)}`;
    context.addIssue({ code: "custom", path: ["floor"], message: `${spans}; raise the ceiling or lower the floor` });
    return z.NEVER;
  })
  .prefault({ policy: "budget" });

export type RetentionPolicy = z.output<typeof retention>;

/** A service as holdover.yaml declares it. What has a default here may be left out there. */
export const serviceDefinition = z.strictObject({
  hosts: z
    .array(
      z
        .string()
        .regex(
          /^(\*\.)?[\w-]+(\.[\w-]+)*$|^\[[0-9a-fA-F:.]+\]$/,
          "write a host name without scheme and port, for example app.example.com or *.example.com; for any host leave `hosts` out",
        )
        .transform((host) => host.toLowerCase()),
    )
    .default([])
    .meta({
      description: "Host names this service answers for; none: any. `*.example.com` matches one label or more.",
    }),
  path: z.string().startsWith("/").default("/").meta({ description: "Path prefix this service answers for." }),
  dir: z.string().min(1).optional().meta({ description: "The directory of the build; `deploy --dir` overrides it." }),
  release: releaseId.optional().meta({ description: "The release that the very first `holdover up` makes current." }),
  command,
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string(), {
      error: (issue) => (issue.code === "invalid_key" ? "this is no name of a variable" : undefined),
    })
    .default({})
    .meta({ description: "Environment variables of the instances." }),
  instances: z.int().min(1).max(256).default(1).meta({ description: "How many instances a release has." }),
  capacity: z
    .int()
    .min(1)
    .optional()
    .meta({ description: "How many sessions one instance takes at the most; left out: no limit." }),
  session: z
    .strictObject({
      key: z
        .array(keyPlace)
        .default([])
        .meta({ description: "Where a request carries its session key; the first place that has one counts." }),
      linger: duration(
        "How long a session without a connection keeps its pin, so that a reconnect comes back.",
      ).default(60_000),
      cutoverLinger: duration("What `holdover prepare` shrinks the linger to; left out: a sixth of it.").optional(),
      label: z
        .strictObject({
          name: z
            .string()
            .regex(/^[a-z][a-z0-9_]{0,39}$/, "a label is 1 to 40 of a-z, 0-9 and underscore, the first a letter"),
          from: z.array(keyPlace).min(1).meta({ description: "Where the first request of a session carries it." }),
          values: z
            .array(z.string().min(1).max(64))
            .min(1)
            .max(20)
            .meta({ description: "The values it may have; sessions with any other have none." }),
        })
        .optional()
        .meta({ description: "Kinds of sessions that last differently, for example support and advisory calls." }),
    })
    .prefault({}),
  health,
  gate: z
    .strictObject({
      command,
      timeout: duration("How long the gate may take.", 1).default(60_000),
    })
    .optional()
    .meta({
      description:
        "A command that must exit with 0 before a release gets traffic. It runs in the release's directory with HOLDOVER_URL set to a fresh instance.",
    }),
  retention,
  disconnects: z
    .strictObject({
      atOnce: share("The share of the service's connections that may be closed on purpose within a period.").default(
        0.05,
      ),
      period: duration("The period of that share: how long clients take to reconnect.", 1).default(1000),
    })
    .prefault({}),
  maxConnectionAge: duration(
    "How long one connection may last, 10% more or less, before its client is asked to connect again. Its session stays where it is. Left out: no limit.",
    1,
  ).optional(),
  connectionAgeGrace: duration(
    "How long a connection past its age may wait for a moment in which nothing is sent.",
  ).default(30_000),
  stopGrace: duration("How long an instance may take to exit after SIGTERM, before SIGKILL.").default(10_000),
});

/** A service as it is used: durations in milliseconds, defaults filled in. */
export type ServiceDefinition = z.output<typeof serviceDefinition>;

const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:[\]]+):\d{1,5}$/, "write an address as host:port, for example 127.0.0.1:8080")
  .refine((text) => Number(text.slice(text.lastIndexOf(":") + 1)) <= 65_535, "a port is at most 65535")
  .meta({ examples: ["127.0.0.1:8080"] });

const webhookUrl = z
  .string()
  .refine((text) => {
    const url = URL_PARTS.exec(text);
    return url !== null && (url[1] === "https" || LOOPBACK.test(url[2] ?? ""));
  }, "write an address that begins with https://; http:// is for this machine only")
  .meta({ examples: ["https://audit.example.com/holdover"] });

const URL_PARTS = /^(https?):\/\/([\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?(?:[/?][^\s#]*)?$/;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

const auditSink = z.union(
  [
    z.strictObject({ file: z.string().min(1).meta({ description: "A file; one entry a line is appended." }) }),
    z.strictObject({ stdout: z.literal(true).meta({ description: "The standard output of `holdover up`." }) }),
    z.strictObject({
      webhook: webhookUrl.meta({ description: "Entries are posted there as JSON, in batches." }),
      secretEnv: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "this is no name of a variable")
        .meta({ description: "The environment variable with the secret that the body is signed with (HMAC-SHA256)." }),
    }),
  ],
  { error: "write one of { file }, { stdout: true } and { webhook, secretEnv }" },
);

function sinkAddress(sink: AuditSinkSetting): string {
  if ("file" in sink) return sink.file;
  return "webhook" in sink ? (sink.webhook.split("?", 1)[0] ?? "") : "stdout";
}

/** Where the audit log goes to: `{ file }`, `{ stdout }` or `{ webhook, secretEnv }`. */
export type AuditSinkSetting = z.output<typeof auditSink>;

/** The whole of holdover.yaml. */
export const holdoverConfig = z
  .strictObject({
    $schema: z.string().optional(),
    listen: address.default("127.0.0.1:8080").meta({ description: "Where the router takes connections." }),
    api: address
      .default("127.0.0.1:8090")
      .meta({ description: "Where the control API listens: loopback only, unless `apiTls` is set." }),
    apiTls: z
      .strictObject({
        cert: z.string().min(1).meta({ description: "A PEM file: the certificate, then those up to the root." }),
        key: z.string().min(1).meta({ description: "A PEM file: its private key." }),
      })
      .optional()
      .meta({ description: "The API by TLS, on any address. Files that change are read again." }),
    state: z
      .string()
      .min(1)
      .default(".holdover")
      .meta({ description: "The directory of databases, snapshots, logs and sockets." }),
    trustForwarded: z
      .boolean()
      .default(false)
      .meta({ description: "Keep X-Forwarded-* and Forwarded of the client: only behind another proxy." }),
    accessLog: z.boolean().default(false).meta({
      description: "Log every answer to a client in host.log, and not only those that the router gives itself.",
    }),
    limits: z
      .strictObject({
        sessions: z.int().min(1).default(1_000_000).meta({ description: "Sessions one router holds at the most." }),
        headBytes: z.int().min(1024).max(1_048_576).default(16_384).meta({ description: "Bytes of a request's head." }),
        headTimeout: duration("How long the head of a request may take.", 1).default(10_000),
      })
      .prefault({}),
    audit: z
      .strictObject({
        sinks: z
          .array(auditSink)
          .max(16)
          .default([])
          .refine(
            (sinks) => new Set(sinks.map(sinkAddress)).size === sinks.length,
            "name each sink once: two of the same address would take each other's entries for their own",
          )
          .meta({
            description: "Where the audit log goes to besides the database; every entry at least once, in order.",
          }),
      })
      .prefault({}),
    shutdownGrace: duration("How long `down` or SIGTERM waits for sessions to end before it cuts them.").default(
      25_000,
    ),
    services: z
      .record(z.string().regex(SERVICE_NAME), serviceDefinition, {
        error: (issue) =>
          issue.code === "invalid_key"
            ? "a service name is 1 to 40 of a-z, 0-9 and dash, the first no dash"
            : "declare at least one service, by its name",
      })
      .refine((services) => Object.keys(services).length > 0, "declare at least one service, by its name")
      .meta({ description: "The services, by name." }),
  })
  .meta({ title: "holdover.yaml", description: "What Holdover runs, and by which rules." });

export type HoldoverConfig = z.output<typeof holdoverConfig>;
