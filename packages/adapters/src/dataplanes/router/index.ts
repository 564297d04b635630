export { openControlLink, type ControlLink, type ControlLinkOptions } from "./control-link.ts";
