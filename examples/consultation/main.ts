import { model } from "./formats.ts";
import { serve } from "./serve.ts";

await serve({
  model,
  terms: {
    version: "1",
    text: "This consultation is recorded, so that both sides can look up what was agreed. The recording is kept for a year.",
  },
});
