export { openHostLink, type HostLink, type HostLinkOptions } from "./link.ts";
export { createRouter, type Router, type RouterOptions } from "./router.ts";
export * from "./sessions.ts";
