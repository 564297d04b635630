import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { HoldoverError, problemOf, PUBLIC_KEY, type KeyRing } from "@holdover/core";
import { newEd25519Key, readEd25519Signer } from "./ed25519.ts";

const ENDING = ".pem";
const PARTIAL = `${ENDING}.partial`;

/**
 * A directory (0700) with an Ed25519 key a file (PEM, 0600), each named by its public half.
 * @throws HoldoverError KEY_UNREADABLE where there is no such directory and none can be made
 */
export async function openKeyRing(dir: string): Promise<KeyRing> {
  const fileOf = (publicKey: string): string => join(dir, `${publicKey}${ENDING}`);
  await failing(dir, mkdir(dir, { recursive: true, mode: 0o700 }));
  // Of a process that was killed while it made a key: nobody else opens the ring.
  for (const name of await failing(dir, readdir(dir))) {
    if (name.endsWith(PARTIAL)) await failing(join(dir, name), rm(join(dir, name), { force: true }));
  }

  return {
    async create() {
      const { pem, signer } = newEd25519Key();
      const file = fileOf(signer.publicKey);
      const partial = join(dir, `${signer.publicKey}${PARTIAL}`);
      const write = async (): Promise<void> => {
        await writeDurably(partial, pem);
        await rename(partial, file);
        await syncDirectory(dir);
      };
      await failing(
        file,
        write().catch(async (cause: unknown) => {
          await rm(partial, { force: true });
          throw cause;
        }),
      );
      return signer;
    },
    async open(publicKey) {
      const file = fileOf(publicKey);
      const signer = await readEd25519Signer(file);
      if (signer.publicKey === publicKey) return signer;
      throw new HoldoverError("KEY_UNREADABLE", { file, problem: `it is the key ${signer.publicKey}` });
    },
    async list() {
      const names = await failing(dir, readdir(dir));
      return names
        .filter((name) => name.endsWith(ENDING))
        .map((name) => name.slice(0, -ENDING.length))
        .filter((name) => PUBLIC_KEY.test(name));
    },
    remove: (publicKey) => failing(fileOf(publicKey), rm(fileOf(publicKey), { force: true })),
  };
}

/** A power cut after it leaves all of the file, and not a name without content. */
async function writeDurably(file: string, content: string): Promise<void> {
  const handle = await open(file, "w", 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function failing<Value>(file: string, work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (cause) {
    throw new HoldoverError("KEY_UNREADABLE", { file, problem: problemOf(cause) }, { cause });
  }
}
