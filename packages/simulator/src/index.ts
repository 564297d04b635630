export * from "./retention.ts";
export * from "./trace.ts";
