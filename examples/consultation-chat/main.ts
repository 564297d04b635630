import { model } from "./formats.ts";
import { serve } from "./serve.ts";

await serve(model);
