import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LoadCall, LoadResult } from "./load-call.ts";

const PROCESS = fileURLToPath(new URL("load-process.ts", import.meta.url));
/** A call that takes longer has lost an answer. */
const CALL_MS = 60_000;

/** The clients, in a process of their own. */
export interface Load {
  /** @throws Error when a client was refused or lost its connection, or nothing came within a minute */
  run(call: Exclude<LoadCall, { kind: "idle" | "hang-up" }>): Promise<LoadResult>;
  /** Opens connections that stay until {@link hangUp}. */
  idle(call: Extract<LoadCall, { kind: "idle" }>): Promise<void>;
  hangUp(): Promise<void>;
  stop(): Promise<void>;
}

type Reply = { readonly result: LoadResult | null } | { readonly error: string };

export function startLoad(): Load {
  const child = fork(PROCESS, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = once(child, "exit");
  const ask = async (call: LoadCall): Promise<LoadResult | null> => {
    child.send(call);
    const [reply] = (await once(child, "message", { signal: AbortSignal.timeout(CALL_MS) })) as [Reply];
    if ("error" in reply) throw new Error(`${call.kind}: ${reply.error}`);
    return reply.result;
  };
  return {
    async run(call) {
      const result = await ask(call);
      if (!result || result.count === 0) throw new Error(`${call.kind}: nothing was over in the time measured`);
      return result;
    },
    idle: async (call) => void (await ask(call)),
    hangUp: async () => void (await ask({ kind: "hang-up" })),
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
