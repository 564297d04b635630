import { parseArgs } from "node:util";
import { tellAgents } from "./demo/agents.ts";
import { tellRooms } from "./demo/rooms.ts";
import { tellState } from "./demo/state.ts";
import type { Story } from "./demo/story.ts";

/**
 * Whole stories with real clients, a real router and real processes: `npm run demo`, `npm run demo -- --story agents`; with
 * `--json` one object in the last line. Ends with 1 where a story is not as it was promised.
 */
const STORIES: Readonly<Record<string, Story>> = { rooms: tellRooms, agents: tellAgents, state: tellState };

const { values } = parseArgs({
  options: { story: { type: "string", default: "rooms" }, json: { type: "boolean", default: false } },
});
const story = Object.hasOwn(STORIES, values.story) ? STORIES[values.story] : undefined;
if (!story) throw new Error(`there is no story ${values.story}, but: ${Object.keys(STORIES).join(", ")}`);

const out = values.json ? process.stderr : process.stdout;
const { sound, result, summary, faults } = await story(out);
if (!sound) out.write(`Not as it should be:\n${faults.map((fault) => `  ${fault}\n`).join("")}`);
if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else out.write(`\n${summary.join("\n")}\n`);
process.exitCode = sound ? 0 : 1;
