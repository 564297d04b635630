import { writeFile } from "node:fs/promises";
import { configSchemaText } from "../packages/cli/src/config/schema.ts";

/** Writes packages/cli/schema/holdover.schema.json, for editors. A test says when this has to be run again. */
const file = new URL("../packages/cli/schema/holdover.schema.json", import.meta.url);
await writeFile(file, configSchemaText());
console.log(`wrote ${file.pathname}`);
