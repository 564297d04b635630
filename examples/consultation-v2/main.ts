import { serve } from "@holdover-examples/consultation";
import { model } from "./formats.ts";

await serve({
  model,
  terms: {
    version: "2",
    text: "This consultation is recorded, so that both sides can look up what was agreed. The recording is kept for six months, and either side gets a copy of it for the asking.",
  },
  page: new URL("page/", import.meta.url),
});
