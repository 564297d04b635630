import { serve } from "@holdover-examples/consultation-chat";
import { model } from "./formats.ts";

await serve(model);
