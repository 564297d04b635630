import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApi, type RunningApi } from "./api-fixture.ts";

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  security?: unknown[];
  parameters?: { name: string; in: string; required?: boolean; schema: object; description?: string }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content: Record<string, { schema: object }> }>;
}
interface Document {
  openapi: string;
  info: { title: string; version: string; description: string };
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes: Record<string, { type: string; scheme: string }> };
}

const ROUTES = [
  "delete /v1/services/{service}/prepare",
  "delete /v1/services/{service}/restart",
  "delete /v1/tokens/{name}",
  "get /healthz",
  "get /metrics",
  "get /openapi.json",
  "get /readyz",
  "get /v1/audit",
  "get /v1/audit/export",
  "get /v1/audit/verify",
  "get /v1/events",
  "get /v1/history",
  "get /v1/instances",
  "get /v1/me",
  "get /v1/membership",
  "get /v1/services/{service}",
  "get /v1/services/{service}/ages",
  "get /v1/services/{service}/deploy-plan",
  "get /v1/services/{service}/lengths",
  "get /v1/services/{service}/releases/{release}",
  "get /v1/services/{service}/releases/{release}/forecast",
  "get /v1/services/{service}/releases/{release}/log",
  "get /v1/services/{service}/restart",
  "get /v1/services/{service}/session",
  "get /v1/services/{service}/timeline",
  "get /v1/sessions",
  "get /v1/status",
  "get /v1/tokens",
  "post /v1/backup",
  "post /v1/membership/revoke",
  "post /v1/membership/rotate",
  "post /v1/services/{service}/compatibility",
  "post /v1/services/{service}/prepare",
  "post /v1/services/{service}/preview",
  "post /v1/services/{service}/releases",
  "post /v1/services/{service}/releases/{release}/promote",
  "post /v1/services/{service}/releases/{release}/ramp",
  "post /v1/services/{service}/releases/{release}/retire",
  "post /v1/services/{service}/restart",
  "post /v1/services/{service}/rollback",
  "post /v1/services/{service}/samples",
  "post /v1/services/{service}/sessions",
  "post /v1/services/{service}/sessions/move",
  "post /v1/shutdown",
  "post /v1/sign-in",
  "post /v1/sign-in-links",
  "post /v1/sign-out",
  "post /v1/tokens",
];

describe("/openapi.json", () => {
  let running: RunningApi;
  let document: Document;
  let operations: [string, Operation][];
  beforeAll(async () => {
    running = await startApi();
    document = (await running.bySocket("/openapi.json")).json() as Document;
    operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation]),
    );
  });
  afterAll(() => running.stop());

  test("is OpenAPI 3.1 of this version, with every route and no other", () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: "Holdover control API", version: "1.2.3" });
    expect(operations.map(([route]) => route).sort()).toEqual(ROUTES);
  });

  test("has what OpenAPI requires of each operation: a name of its own, known tags, described answers with a schema", () => {
    const tags = new Set(document.tags.map(({ name }) => name));
    expect(new Set(operations.map(([, { operationId }]) => operationId)).size).toBe(ROUTES.length);
    const wanting = operations.filter(
      ([, { summary, tags: own, responses }]) =>
        !summary ||
        own.length === 0 ||
        !own.every((tag) => tags.has(tag)) ||
        !Object.entries(responses).every(
          ([status, { description, content }]) =>
            /^[2-5]\d\d$/.test(status) &&
            /\S/.test(description) &&
            Object.values(content).length === 1 &&
            Object.values(content).every(({ schema }) => Object.keys(schema).length > 0),
        ),
    );
    expect(wanting).toEqual([]);
  });

  test("declares every parameter of a path, as required", () => {
    const inPaths = operations.map(([route]) => [...route.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    const declared = operations.map(([, { parameters = [] }]) =>
      parameters.filter((parameter) => parameter.in === "path" && parameter.required).map(({ name }) => name),
    );
    expect(declared).toEqual(inPaths);
    const untyped = operations.flatMap(([, { parameters = [] }]) =>
      parameters.filter(({ schema }) => !("type" in schema)),
    );
    expect(untyped).toEqual([]);
  });

  test("has no reference that leads nowhere, no schema that nothing refers to, and no placeholder left in it", () => {
    const text = JSON.stringify(document);
    expect(text).not.toContain("PLACEHOLDER");
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference ?? "");
    const known = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect(known).not.toEqual([]);
    expect([...new Set(references)].sort()).toEqual(known.sort());
  });

  test("tells the error answers of every call but the probes, with their codes", () => {
    const operation = document.paths["/v1/services/{service}/releases/{release}/promote"]?.["post"];
    expect(Object.keys(operation?.responses ?? {})).toEqual([
      "200",
      "400",
      "401",
      "403",
      "404",
      "409",
      "429",
      "500",
      "503",
    ]);
    expect(operation?.responses["409"]?.description).toBe("RELEASE_TRANSITION, RELEASE_COLD");
    const calls = operations.filter(([route]) => /\/v1\/|metrics/.test(route));
    const lacking = calls.filter(([, { responses }]) => !["400", "401", "500"].every((status) => status in responses));
    expect([calls.length, lacking]).toEqual([ROUTES.length - 3, []]);
  });

  test("tells which role a call needs by TCP, and that what a deployer may do can be forbidden", () => {
    const needed = new Map(operations.map(([route, { security }]) => [route, JSON.stringify(security)]));
    expect(needed.get("get /v1/status")).toBe('[{"token":["viewer"]}]');
    expect(needed.get("post /v1/services/{service}/releases")).toBe('[{"token":["deployer"]}]');
    expect(needed.get("post /v1/shutdown")).toBe('[{"token":["admin"]}]');
    const forbidden = operations.filter(([, { responses }]) => "403" in responses).map(([route]) => route);
    const viewers = /^get (?!.v1.tokens)|\/v1\/sign-(in|out)$|\/preview$/;
    expect(forbidden).toEqual(operations.map(([route]) => route).filter((route) => !viewers.test(route)));
  });

  test("tells which calls need the token by TCP", () => {
    expect(document.components.securitySchemes["token"]).toMatchObject({ type: "http", scheme: "bearer" });
    const open = operations.filter(([, { security }]) => security?.length === 0).map(([route]) => route);
    expect(open.sort()).toEqual(["get /healthz", "get /openapi.json", "get /readyz", "post /v1/sign-in"]);
  });

  test("tells the limits and defaults of what is sent", () => {
    const limit = document.paths["/v1/sessions"]?.["get"]?.parameters?.find(({ name }) => name === "limit");
    expect(limit).toMatchObject({
      in: "query",
      schema: { type: "integer", minimum: 1, maximum: 10_000, default: 100 },
    });
    expect(limit?.required ?? false).toBe(false);
    const deploy = document.paths["/v1/services/{service}/releases"]?.["post"];
    expect(deploy?.requestBody?.content["application/json"]?.schema).toMatchObject({
      required: ["release"],
      additionalProperties: false,
    });
    const actor = deploy?.parameters?.find((parameter) => parameter.in === "header");
    expect(actor?.name).toBe("holdover-actor");
  });

  test("tells that events and metrics are no JSON", () => {
    const typesOf = (path: string) => Object.keys(document.paths[path]?.["get"]?.responses["200"]?.content ?? {});
    expect(typesOf("/v1/events")).toEqual(["text/event-stream"]);
    expect(typesOf("/metrics")).toEqual(["text/plain"]);
  });
});
