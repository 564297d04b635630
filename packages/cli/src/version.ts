import manifest from "../package.json" with { type: "json" };

/** The version of this Holdover, the same for all its packages. */
export const VERSION: string = manifest.version;
