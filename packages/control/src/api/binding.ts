import type { Server } from "node:net";

/** Resolves once the server listens; rejects with what kept it from it. */
export function bound(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      server.off("listening", settle);
      server.off("error", settle);
      if (error) reject(error);
      else resolve();
    };
    server.once("listening", settle);
    server.once("error", settle);
    listen();
  });
}

/** The code of a system error, such as EADDRINUSE. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
