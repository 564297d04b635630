export { createApi, type Api } from "./api/api.ts";
export type * from "./api/forecast-views.ts";
export type * from "./api/views.ts";
export { createAuditSigning } from "./audit-signing.ts";
export { createAuditSinks } from "./audit-sinks.ts";
export type { Builds, GateResult, GateRun } from "./builds.ts";
export { Control, type ControlOptions } from "./control.ts";
export { createMetrics } from "./metrics.ts";
export type { Operations } from "./operations.ts";
