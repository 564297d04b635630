export { openControlStore, type ControlStore } from "./control-store.ts";
export { openHostStore, type HostStore } from "./host-store.ts";
