export { connect } from "./connect.ts";
export type { Clock, ConnectOptions, NetworkEvents, WebSocketLike } from "./connect-options.ts";
export type { Connection, Events, State } from "./connection.ts";
export { ConnectionError, type ConnectionErrorCode } from "./numbered.ts";
export type { SessionOption } from "./session-url.ts";
