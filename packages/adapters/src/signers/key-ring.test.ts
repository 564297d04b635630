import { copyFile, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keyRingConformance } from "@holdover/testkit/conformance/key-ring";
import type { KeyRing } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifyEd25519 } from "./ed25519.ts";
import { openKeyRing } from "./key-ring.ts";

keyRingConformance("A directory", async () => {
  const dir = await mkdtemp(join(tmpdir(), "holdover-keys-"));
  return {
    ring: await openKeyRing(join(dir, "membership")),
    verify: verifyEd25519,
    reopen: () => openKeyRing(join(dir, "membership")),
    close: () => rm(dir, { recursive: true }),
  };
});

describe("The directory of keys", () => {
  let parent: string;
  let dir: string;
  let ring: KeyRing;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), "holdover-keys-"));
    dir = join(parent, "membership");
    ring = await openKeyRing(dir);
  });
  afterEach(() => rm(parent, { recursive: true }));

  it("is for its owner alone, with a file a key and nothing else", async () => {
    const { publicKey } = await ring.create();
    expect(await readdir(dir)).toEqual([`${publicKey}.pem`]);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(dir, `${publicKey}.pem`))).mode & 0o777).toBe(0o600);
  });

  it("takes nothing else in it for a key, and clears away what was cut short", async () => {
    await writeFile(join(dir, "notes.pem"), "");
    await writeFile(join(dir, `${"A".repeat(43)}.pem.partial`), "half");
    expect(await ring.list()).toEqual([]);
    await openKeyRing(dir);
    expect(await readdir(dir)).toEqual(["notes.pem"]);
  });

  it("opens no key under the name of another", async () => {
    const [one, two] = [await ring.create(), await ring.create()];
    const file = join(dir, `${two.publicKey}.pem`);
    await rm(file);
    await copyFile(join(dir, `${one.publicKey}.pem`), file);
    await expect(ring.open(two.publicKey)).rejects.toMatchObject({ code: "KEY_UNREADABLE", details: { file } });
  });

  it("that cannot be written makes no key, and says where", async () => {
    await rm(dir, { recursive: true });
    await writeFile(dir, "a file in its place");
    await expect(ring.create()).rejects.toMatchObject({ code: "KEY_UNREADABLE" });
    await expect(openKeyRing(join(dir, "deeper"))).rejects.toMatchObject({ code: "KEY_UNREADABLE" });
  });
});
