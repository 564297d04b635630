import { holdoverConfig } from "@holdover/core";

/** The parts of JSON Schema that `holdoverConfig` makes use of. */
export interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

/** The JSON Schema of holdover.yaml as a person writes it: durations as text, everything with a default optional. */
export function configSchema(): JsonSchema {
  return holdoverConfig.toJSONSchema({ io: "input" }) as JsonSchema;
}

/** The schemas that a value at a path may follow: several under a union, none where the path is unknown. */
export function schemasAt(root: JsonSchema, path: readonly PropertyKey[]): JsonSchema[] {
  let schemas = variants(root);
  for (const part of path) {
    schemas = schemas.flatMap((schema) => {
      const next =
        typeof part === "number"
          ? schema.items
          : (schema.properties?.[String(part)] ??
            (typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined));
      return next ? variants(next) : [];
    });
  }
  return schemas;
}

/** The keys that a map at a path may have. */
export function knownKeysAt(root: JsonSchema, path: readonly PropertyKey[]): string[] {
  return [...new Set(schemasAt(root, path).flatMap((schema) => Object.keys(schema.properties ?? {})))];
}

function variants(schema: JsonSchema): JsonSchema[] {
  const choices = schema.anyOf ?? schema.oneOf;
  return choices ? choices.flatMap(variants) : [schema];
}

/** The content of schema/holdover.schema.json. */
export function configSchemaText(): string {
  return `${JSON.stringify(configSchema(), null, 2)}\n`;
}
