import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { HoldoverError, problemOf } from "@holdover/core";

/** All instances listen here: only the router is to reach them. */
export const INSTANCE_HOST = "127.0.0.1";

/** A port may be offered again that an instance was promised and does not listen on yet. */
const ATTEMPTS = 32;

/**
 * Below those that the kernel gives to outgoing connections (Linux: from 32768): one of these is not taken between the
 * promise and the moment when the instance listens, however many connections the router opens meanwhile.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_767;
/** So many are tried before the kernel is asked. */
const TRIES = 16;

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

export function createPorts(freePort: () => Promise<number> = quietPort): Ports {
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

async function quietPort(): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    try {
      return await listenOnce(port);
    } catch {
      // Taken by somebody: another one is tried.
    }
  }
  return listenOnce(0);
}

/** @param port 0: the kernel's choice */
function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error) => reject(listenFailed(problemOf(error), error)));
    server.listen(port, INSTANCE_HOST, () => {
      const address = server.address();
      const found = typeof address === "object" && address ? address.port : 0;
      server.close(() => resolve(found));
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
