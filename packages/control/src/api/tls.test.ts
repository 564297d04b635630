import { execFileSync, spawnSync } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type ConnectionOptions } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createManualClock, startApi, TOKEN, type RunningApi } from "./api-fixture.ts";

const PROGRAM = process.env["OPENSSL"] ?? "openssl";
const OPENSSL = spawnSync(PROGRAM, ["version"]).status === 0;
const LOOK_EVERY_MS = 2000;

let dir: string;
let running: RunningApi | undefined;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-tls-"));
  if (!OPENSSL) return;
  for (const name of ["one", "two"]) makeCertificate(name);
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
});
afterAll(() => rm(dir, { recursive: true }));

const pathOf = (name: string) => join(dir, name);

function makeCertificate(name: string): void {
  const names = "subjectAltName=DNS:api.example.com,DNS:*.svc.internal,IP:192.0.2.7,IP:127.0.0.1";
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", pathOf(`${name}.key`)];
  const made = ["req", "-x509", "-days", "2", "-subj", `/CN=${name}`, "-addext", names, "-out", pathOf(`${name}.crt`)];
  execFileSync(PROGRAM, [...made, ...key], { stdio: "pipe" });
}

async function put(cert: string, key: string): Promise<void> {
  await copyFile(pathOf(`${cert}.crt`), pathOf("tls.crt"));
  await copyFile(pathOf(`${key}.key`), pathOf("tls.key"));
}

async function start(host?: string) {
  await put("one", "one");
  const started = await startApi({ tls: { cert: pathOf("tls.crt"), key: pathOf("tls.key") } }, undefined, host);
  running = started;
  return started;
}

/** Calls /v1/status, and trusts the certificate that is named. */
async function call(url: string, host: string, trusted = "one", token = TOKEN): Promise<number | undefined> {
  const ca = await readFile(pathOf(`${trusted}.crt`));
  return new Promise((resolve, reject) => {
    const headers = { host, authorization: `Bearer ${token}` };
    const outgoing = request(`${url}/v1/status`, { ca, headers, agent: false, servername: "api.example.com" });
    outgoing.once("error", reject).once("response", (answer) => {
      answer.resume().once("end", () => resolve(answer.statusCode));
    });
    outgoing.end();
  });
}

/** Which certificate is shown, by its common name; rejects where there is no handshake. */
function shown(url: string, options: ConnectionOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: "127.0.0.1",
      port: Number(new URL(url).port),
      rejectUnauthorized: false,
      ...options,
    });
    socket.once("error", reject).once("secureConnect", () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
  });
}

describe.skipIf(!OPENSSL)("the API by TLS (needs openssl to make certificates)", () => {
  test("answers for the names of its certificate and those of loopback, and for no other", async () => {
    const { url } = await start();
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    for (const host of [
      "api.example.com",
      "API.example.com:8090",
      "a.svc.internal",
      "192.0.2.7:1",
      "localhost",
      "127.0.0.1",
    ]) {
      expect([host, await call(url, host)]).toEqual([host, 200]);
    }
    for (const host of [
      "evil.example",
      "api.example.com.evil.example",
      "a.b.svc.internal",
      ".example.com",
      "192.0.2.8",
      "[::2]",
    ]) {
      expect([host, await call(url, host)]).toEqual([host, 400]);
    }
  });

  test("listens beyond loopback, and asks for the token there", async () => {
    const { url } = await start("0.0.0.0");
    expect(url).toMatch(/^https:\/\/0\.0\.0\.0:\d+$/);
    const local = `https://127.0.0.1:${new URL(url).port}`;
    expect(await call(local, "api.example.com")).toBe(200);
    expect(await call(local, "api.example.com", "one", "wrong")).toBe(401);
  });

  test("speaks TLS 1.2 and 1.3, nothing older, and no plain HTTP", async () => {
    const { url } = await start();
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      expect(await shown(url, { minVersion: version, maxVersion: version })).toBe("one");
    }
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    await expect(shown(url, old)).rejects.toThrow(/alert|protocol|version/i);
    await expect(fetch(url.replace("https", "http"))).rejects.toThrow("fetch failed");
  });

  test("shows a renewed certificate without a restart", async () => {
    const { url, clock, logged } = await start();
    expect(await shown(url)).toBe("one");
    await put("two", "two");
    clock.advance(LOOK_EVERY_MS);
    await expect.poll(() => logged).toHaveLength(1);
    expect(await shown(url)).toBe("two");
    expect(await call(url, "api.example.com", "two")).toBe(200);
  });

  test.each([
    ["a certificate of another key", () => put("two", "one")],
    ["half a certificate", () => writeFile(pathOf("tls.crt"), "-----BEGIN CERTIFICATE-----\nMIIB")],
    ["no certificate", () => rm(pathOf("tls.crt"))],
  ])("keeps the old certificate when it finds %s, tells of it once, and takes the next one", async (_what, spoil) => {
    const { url, clock, logged } = await start();
    await spoil();
    clock.advance(LOOK_EVERY_MS);
    await expect.poll(() => logged).toHaveLength(1);
    expect(logged[0]).toContain("the old one stays");
    expect(await shown(url)).toBe("one");
    await put("two", "two");
    await expect
      .poll(() => {
        clock.advance(LOOK_EVERY_MS);
        return logged.length;
      })
      .toBe(2);
    expect(await shown(url)).toBe("two");
  });

  test.each([
    ["missing", async () => {}],
    ["of two pairs", () => put("one", "two")],
  ])("does not start with files that are %s", async (_what, make) => {
    await rm(pathOf("tls.crt"), { force: true });
    await make();
    const files = { cert: pathOf("tls.crt"), key: pathOf("tls.key") };
    await expect(startApi({ tls: files, clock: createManualClock() })).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      details: { setting: "apiTls" },
    });
  });
});
