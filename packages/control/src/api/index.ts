/** What whoever calls the API has to know, as types alone: the dashboard and the command line are written against it. */
export type * from "./forecast-views.ts";
export type * from "./membership-views.ts";
export type * from "./preview-views.ts";
export type * from "./session-views.ts";
export type * from "./sign-in-views.ts";
export type * from "./timeline-views.ts";
export type * from "./views.ts";
