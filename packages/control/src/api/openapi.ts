import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";

const TEXT_ROUTES: Readonly<Record<string, string>> = {
  "/metrics": "text/plain",
  "/v1/audit/export": "application/x-ndjson",
  "/v1/events": "text/event-stream",
};

/** How the OpenAPI document is made from the routes and their schemas. */
export function openApiOptions(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Holdover control API",
        version,
        description:
          "Reached by the unix socket in the state directory, where whoever can open it is trusted, or by TCP on loopback " +
          "with a token. A token has a role: `viewer` reads, `deployer` changes releases and instances, `admin` may do " +
          "everything; what a call needs stands at its `security`. Every error is `{ error: { code, what, next, details } }`. Times are epoch time in ms.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      tags: [
        { name: "services", description: "What is deployed, and where it runs." },
        { name: "releases", description: "Deploy, ramp, promote, roll back and retire." },
        { name: "sessions", description: "Who is on which release." },
        { name: "retention", description: "How long sessions last, and what follows: forecasts, plans, restarts." },
        { name: "audit", description: "What happened, by whom and why." },
        { name: "tokens", description: "Who may call the API by TCP." },
        { name: "membership", description: "Which workers belong here, and the keys that say so." },
        { name: "process", description: "The control process itself." },
      ],
      components: {
        securitySchemes: {
          token: { type: "http", scheme: "bearer", description: "Needed on TCP; the unix socket asks for none." },
        },
      },
    },
    transform: (route) => {
      const { schema, url } = jsonSchemaTransform(route);
      const responses = Object.entries(schema.response ?? {}).map(([status, answer]) => {
        const { description = "OK", ...body } = answer as { description?: string };
        const type = status === "200" ? (TEXT_ROUTES[url] ?? "application/json") : "application/json";
        return [status, { description, content: { [type]: { schema: body } } }];
      });
      return { schema: { ...schema, response: Object.fromEntries(responses) }, url };
    },
    transformObject: (made) => {
      const document = jsonSchemaTransformObject(made) as { components: { schemas: Record<string, object> } };
      // Each view is made a second time as something to send; none is sent.
      const schemas = Object.entries(document.components.schemas).filter(([name]) => !name.endsWith("Input"));
      return { ...document, components: { ...document.components, schemas: Object.fromEntries(schemas) } };
    },
  };
}
