import { fileURLToPath } from "node:url";

/** Where the built page is: made by `npm run build:dashboard`, which `npm ci` runs too. */
export const DASHBOARD_DIRECTORY: string = fileURLToPath(new URL("./dist", import.meta.url));
