export { openHostLink, type HostLink, type HostLinkOptions } from "./link.ts";
export { createRouter, type Router, type RouterOptions } from "./router.ts";
export * from "./sessions.ts";
export { Membership } from "./workers/membership.ts";
export { createWorkerServer, type WorkerServer, type WorkerServerOptions } from "./workers/worker-server.ts";
