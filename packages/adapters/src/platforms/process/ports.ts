import { createServer } from "node:net";
import { HoldoverError, problemOf } from "@holdover/core";

/** All instances listen here: only the router is to reach them. */
export const INSTANCE_HOST = "127.0.0.1";

/** The kernel may offer a port again that an instance was promised and does not listen on yet. */
const ATTEMPTS = 32;

export interface Ports {
  /**
   * A port that is free now and promised to nobody; it is promised to the caller until `release`.
   * @throws HoldoverError LISTEN_FAILED when the machine has none left
   */
  reserve(): Promise<number>;
  /** Marks a port as promised that is known from elsewhere. */
  keep(port: number): void;
  release(port: number): void;
}

export function createPorts(freePort: () => Promise<number> = kernelsChoice): Ports {
  const promised = new Set<number>();
  return {
    async reserve() {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const port = await freePort();
        if (promised.has(port)) continue;
        promised.add(port);
        return port;
      }
      throw listenFailed("every port that was offered is promised to another instance");
    },
    keep(port) {
      promised.add(port);
    },
    release(port) {
      promised.delete(port);
    },
  };
}

function kernelsChoice(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error) => reject(listenFailed(problemOf(error), error)));
    server.listen(0, INSTANCE_HOST, () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

function listenFailed(problem: string, cause?: unknown): HoldoverError {
  return new HoldoverError(
    "LISTEN_FAILED",
    { address: `${INSTANCE_HOST}:0`, problem, setting: "instances" },
    { cause },
  );
}
