import { readFile } from "node:fs/promises";
import { HoldoverError } from "@holdover/core";
import type { ApiClient } from "./api-client.ts";
import type { Addresses } from "./host-process.ts";
import type { StateDir } from "./state-dir.ts";

/** What lets a browser in, once. It is a secret: it goes to a terminal or into a file of its owner, and into no log. */
export interface SignInLink {
  readonly url: string;
  /** Epoch time in ms. */
  readonly expiresAtMs: number;
}

/** @throws HoldoverError NOT_RUNNING, CONTROL_BUSY */
export async function signInLink(api: ApiClient, state: StateDir): Promise<SignInLink> {
  const { path, expiresAtMs } = await api.signInLink();
  return { url: reachable(await apiAddress(state)) + path, expiresAtMs };
}

async function apiAddress(state: StateDir): Promise<string> {
  try {
    return (JSON.parse(await readFile(state.addresses, "utf8")) as Addresses).api;
  } catch (cause) {
    throw new HoldoverError("NOT_RUNNING", { stateDir: state.dir }, { cause });
  }
}

/** All interfaces are no address to go to: on this machine it is found under its own name for itself. */
function reachable(address: string): string {
  return address.replace(/^(https?:\/\/)(?:0\.0\.0\.0|\[::\])(?=:|$)/, "$1localhost");
}
