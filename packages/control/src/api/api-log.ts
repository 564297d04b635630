/** Where the API tells what its callers cannot be told. A pino logger fits. */
export interface ApiLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** The same, and where calls are told of. */
export interface CallLog extends ApiLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export const SILENT: CallLog = { info: () => {}, warn: () => {}, error: () => {} };
