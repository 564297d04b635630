import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { signerConformance } from "@holdover/testkit/conformance/signer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openEd25519Signer, publicKeyPem, readEd25519PublicKey, verifyEd25519 } from "./ed25519.ts";

signerConformance("Ed25519", async () => {
  const dir = await mkdtemp(join(tmpdir(), "holdover-signer-"));
  const file = join(dir, "key.pem");
  return {
    signer: await openEd25519Signer(file),
    verify: verifyEd25519,
    reopen: () => openEd25519Signer(file),
    other: () => openEd25519Signer(join(dir, "other.pem")),
    close: () => rm(dir, { recursive: true }),
  };
});

describe("The key file", () => {
  let dir: string;
  let file: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "holdover-signer-"));
    file = join(dir, "key.pem");
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("is for its owner alone, whole, and the only one that is left behind", async () => {
    await openEd25519Signer(file);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(dir)).toEqual(["key.pem"]);
  });

  it("is made once when many open it at the same time", async () => {
    const signers = await Promise.all(Array.from({ length: 10 }, () => openEd25519Signer(file)));
    expect(new Set(signers.map(({ publicKey }) => publicKey)).size).toBe(1);
  });

  it("gives its public key, as the file of the public key does", async () => {
    const { publicKey } = await openEd25519Signer(file);
    await writeFile(join(dir, "key.pub"), publicKeyPem(publicKey));
    expect(await readEd25519PublicKey(file)).toBe(publicKey);
    expect(await readEd25519PublicKey(join(dir, "key.pub"))).toBe(publicKey);
  });

  it.each([
    ["nothing", ""],
    ["no PEM", "hello"],
    ["a key of another kind", generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" })],
  ])("that holds %s is refused and left as it is", async (_what, content) => {
    await writeFile(file, content);
    const refused = { code: "KEY_UNREADABLE", details: { file } };
    await expect(openEd25519Signer(file)).rejects.toMatchObject(refused);
    await expect(readEd25519PublicKey(file)).rejects.toMatchObject(refused);
    expect(await readFile(file, "utf8")).toBe(content);
  });

  it("that is not there has no public key", async () => {
    await expect(readEd25519PublicKey(file)).rejects.toMatchObject({ code: "KEY_UNREADABLE" });
  });
});
