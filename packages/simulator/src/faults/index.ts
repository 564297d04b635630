export { readSchedule, scheduleOf, type Schedule } from "./schedule.ts";
export { shrink } from "./shrink.ts";
export { storyOf } from "./story.ts";
export { RULES, type Broken } from "./verdict.ts";
export { World, type Outcome } from "./world.ts";
