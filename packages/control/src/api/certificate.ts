import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import { HoldoverError, problemOf, type Clock } from "@holdover/core";
import type { ApiLog } from "./api-log.ts";

/** How often the files are looked at, in ms: within this time a renewed certificate is in force. */
const LOOK_EVERY_MS = 2000;

/** Files in PEM. */
export interface TlsFiles {
  /** The certificate, and those between it and the root after it. */
  readonly cert: string;
  readonly key: string;
}

interface Pem {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** The certificate in force. */
export interface Certificate {
  pem(): Pem;
  /** Whether it is for this host: a name or an address, without a port. */
  isFor(host: string): boolean;
  /** From now on the files are looked at; what is new and sound is in force and told of. */
  watch(onChange: (pem: Pem) => void): void;
  close(): void;
}

/**
 * Reads a certificate and its key. Files that are found changed and unsound later are told to the log, and the old
 * certificate stays: a renewal that goes wrong must not take the API away.
 * @throws HoldoverError LISTEN_FAILED where they cannot be read or do not belong together
 */
export async function openCertificate(files: TlsFiles, clock: Clock, log: ApiLog): Promise<Certificate> {
  let closed = false;
  let cancel = (): void => {};
  let seen = await stateOf(files);
  let inForce = await read(files).catch((cause: unknown) => {
    const problem = `its certificate ${files.cert} with the key ${files.key} is not sound: ${problemOf(cause)}`;
    throw new HoldoverError("LISTEN_FAILED", { address: "the API", problem, setting: "apiTls" }, { cause });
  });

  async function look(onChange: (pem: Pem) => void): Promise<void> {
    const now = await stateOf(files);
    if (now === seen || closed) return;
    seen = now;
    try {
      inForce = await read(files);
      onChange(inForce);
      log.warn({ cert: files.cert }, "the API has another certificate");
    } catch (error) {
      log.error({ err: error, cert: files.cert }, "the new certificate is not sound, so the old one stays");
    }
  }

  function watch(onChange: (pem: Pem) => void): void {
    cancel = clock.after(LOOK_EVERY_MS, () => {
      void look(onChange).then(() => {
        if (!closed) watch(onChange);
      });
    });
  }

  return {
    pem: () => inForce,
    isFor: (host) => {
      const name = host.replace(/^\[(.*)\]$/, "$1");
      // OpenSSL takes a name that begins with a dot for every name below it.
      if (name === "" || name.startsWith(".")) return false;
      return (isIP(name) ? inForce.x509.checkIP(name) : inForce.x509.checkHost(name)) !== undefined;
    },
    watch,
    close() {
      closed = true;
      cancel();
    },
  };
}

async function read({ cert: certFile, key: keyFile }: TlsFiles): Promise<Pem & { readonly x509: X509Certificate }> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  // Throws where one of them is none, and where the key is another one's.
  createSecureContext({ cert, key });
  return { cert, key, x509: new X509Certificate(cert) };
}

/** Another text whenever one of the files is another one. */
async function stateOf({ cert, key }: TlsFiles): Promise<string> {
  const states = [cert, key].map((file) =>
    stat(file).then(
      ({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`,
      () => "none",
    ),
  );
  return (await Promise.all(states)).join(", ");
}
