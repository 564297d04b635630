export { fileSink } from "./file-sink.ts";
export { webhookSink } from "./webhook-sink.ts";
