export { checkCommand } from "./command.ts";
export { runGate, type GateResult, type GateSpec } from "./gate.ts";
export { keepLogsBounded } from "./log-rotation.ts";
export { tailLog } from "./log-tail.ts";
export { createProcessPlatform, type ProcessPlatform, type ProcessPlatformOptions } from "./platform.ts";
export { removeSnapshot, takeSnapshot, type Snapshot, type SnapshotRequest } from "./snapshot.ts";
