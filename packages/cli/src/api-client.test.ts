import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ApiClient } from "./api-client.ts";
import { DROP, fakeApi, releaseView, SILENCE, UNKNOWN_ERROR, type FakeApi } from "./api-fixture.ts";
import { stateDirOf } from "./state-dir.ts";

let api: FakeApi;
let socket: string;
beforeEach(async () => {
  api = await fakeApi("services: { rooms: { command: x } }\n");
  socket = stateDirOf(join(api.dir, ".holdover")).apiSocket;
  await api.start();
});
afterEach(async () => api.remove());

test("a call that is never answered ends within its time limit as CONTROL_BUSY", async () => {
  api.handlers.set("GET /v1/status", () => SILENCE);
  const call = new ApiClient(socket, undefined, 20).status();
  await expect(call).rejects.toMatchObject({
    code: "CONTROL_BUSY",
    details: { problem: "it did not answer within 20ms." },
  });
});

test("no socket, and a file that is none, are NOT_RUNNING; an answer that breaks off is CONTROL_BUSY", async () => {
  api.handlers.set("GET /v1/status", () => DROP);
  await expect(new ApiClient(socket).status()).rejects.toMatchObject({ code: "CONTROL_BUSY" });
  await api.stop();
  await expect(new ApiClient(socket).status()).rejects.toMatchObject({ code: "NOT_RUNNING", details: { socket } });
  await writeFile(socket, "");
  await expect(new ApiClient(socket).status()).rejects.toMatchObject({ code: "NOT_RUNNING" });
});

test("an answer that is no JSON, and a code that this version does not know, are told as what they are", async () => {
  api.handlers.set("GET /v1/instances", () => undefined);
  await expect(new ApiClient(socket).instances()).rejects.toThrow(
    "GET /v1/instances was answered with 200 and no JSON.",
  );
  api.handlers.set("GET /v1/status", () => UNKNOWN_ERROR);
  await expect(new ApiClient(socket).status()).rejects.toMatchObject({ code: "INTERNAL" });
  await expect(new ApiClient(socket).status()).rejects.toThrow("The moon is full.");
});

test("names are escaped in the path, and an actor that no header can carry is left out", async () => {
  api.handlers.set("GET /v1/services/a%2Fb/releases/%3F", () => releaseView("?", "current"));
  expect(await new ApiClient(socket, "ana").release("a/b", "?")).toMatchObject({ id: "?" });
  await new ApiClient(socket, "ana\r\nx: y").release("a/b", "?");
  expect(api.calls.map(({ actor }) => actor)).toEqual(["ana", "undefined"]);
});
