import { expect, test } from "vitest";
import { SECRET as secret, service } from "./front-fixture.ts";
import { keylessKeyOf, newKeylessCookie, withoutKeylessCookie } from "./keyless-cookie.ts";

const rooms = service("rooms", { path: "/rooms" });
const id = Buffer.from("0123456789abcdef");
const { key, setCookie } = newKeylessCookie(rooms, secret, id, false);
const pair = setCookie.split(";")[0] ?? "";

test("a cookie names the session that it was given for, among other cookies too", () => {
  expect(keylessKeyOf(pair, rooms, secret)).toBe(key);
  expect(keylessKeyOf(`a=b; ${pair};c=d`, rooms, secret)).toBe(key);
});

test("the cookie is kept from scripts, other sites and other paths, and from plain connections after TLS", () => {
  expect(setCookie).toMatch(/^holdover_rooms=[\w-]+\.[\w-]{43}; Path=\/rooms; HttpOnly; SameSite=Lax$/);
  expect(newKeylessCookie(rooms, secret, id, true).setCookie).toMatch(/; Secure$/);
  expect(newKeylessCookie(service("a", { path: "/a;b" }), secret, id, false).setCookie).toContain("; Path=/;");
});

test("a forged, garbled, cut or borrowed cookie counts as none", () => {
  const [name = "", value = ""] = pair.split("=");
  const [ownId = "", signature = ""] = value.split(".");
  for (const forged of [
    "",
    `${name}=`,
    `${name}=${ownId}`,
    `${name}=${ownId}.`,
    `${name}=.${signature}`,
    `${name}=${ownId}x.${signature}`,
    `${name}=${ownId}.${signature.slice(0, -2)}`,
    `${name}=${ownId}.${signature}.x`,
    `${name}=%00.%00`,
    `holdover_other=${value}`,
  ]) {
    expect([forged, keylessKeyOf(forged, rooms, secret)]).toEqual([forged, undefined]);
  }
  const otherSecret = Buffer.alloc(32, 8);
  expect(keylessKeyOf(pair, rooms, otherSecret)).toBeUndefined();
  expect(keylessKeyOf(`holdover_other=${value}`, service("other"), secret)).toBeUndefined();
});

test("a forged cookie in front of the right one does not hide it", () => {
  expect(keylessKeyOf(`holdover_rooms=forged.forged; ${pair}`, rooms, secret)).toBe(key);
});

test("an instance gets every cookie except the router's own", () => {
  expect(withoutKeylessCookie(`a=1; ${pair}; b=2`, rooms)).toBe("a=1; b=2");
  expect(withoutKeylessCookie(pair, rooms)).toBeUndefined();
  expect(withoutKeylessCookie("a=1;b=2", rooms)).toBe("a=1;b=2");
});
