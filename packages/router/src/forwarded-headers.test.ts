import { expect, test } from "vitest";
import { forwardedFields, isForwardedField } from "./forwarded-headers.ts";

const client = { address: "203.0.113.7", port: 8080, secure: false, host: "rooms.example" };

test("the instance is told of the client by address, protocol, host and port", () => {
  expect(forwardedFields([], client, false)).toEqual(
    [
      ["X-Forwarded-For", "203.0.113.7"],
      ["X-Forwarded-Proto", "http"],
      ["X-Forwarded-Host", "rooms.example"],
      ["X-Forwarded-Port", "8080"],
      ["Forwarded", "for=203.0.113.7;host=rooms.example;proto=http"],
    ].flat(),
  );
});

test("an IPv6 address and a host with a port are quoted in Forwarded, and an IPv4 address loses its IPv6 dress", () => {
  const at = (address: string) => forwardedFields([], { ...client, address, host: "h:1" }, false);
  expect(at("2001:db8::1").at(-1)).toBe('for="[2001:db8::1]";host="h:1";proto=http');
  expect(at("2001:db8::1")[1]).toBe("2001:db8::1");
  expect(at("::ffff:10.0.0.1").at(-1)).toBe('for=10.0.0.1;host="h:1";proto=http');
});

const raw = [
  ["X-Forwarded-For", "198.51.100.1"],
  ["x-forwarded-for", "198.51.100.2"],
  ["X-Forwarded-Proto", "https"],
  ["Forwarded", "for=198.51.100.1"],
  ["X-Forwarded-User", "root"],
].flat();

test("what a client says of itself is not believed", () => {
  const fields = forwardedFields(raw, client, false);
  expect(fields).toEqual(forwardedFields([], client, false));
});

test("behind a trusted proxy its lists are continued and its protocol kept", () => {
  const fields = forwardedFields(raw, client, true);
  expect(fields).toEqual(
    [
      ["X-Forwarded-For", "198.51.100.1, 198.51.100.2, 203.0.113.7"],
      ["X-Forwarded-Proto", "https"],
      ["X-Forwarded-Host", "rooms.example"],
      ["X-Forwarded-Port", "8080"],
      ["Forwarded", "for=198.51.100.1, for=203.0.113.7;host=rooms.example;proto=http"],
      ["X-Forwarded-User", "root"],
    ].flat(),
  );
});

test("a field that tells of the client is known in every spelling that a server may take for it", () => {
  for (const name of [
    "forwarded",
    "x-forwarded-for",
    "x_forwarded_for",
    "x-forwarded-prefix",
    "x-real-ip",
    "x_real_ip",
  ]) {
    expect([name, isForwardedField(name)]).toEqual([name, true]);
  }
  for (const name of ["x-session", "via", "forwarded-for"])
    expect([name, isForwardedField(name)]).toEqual([name, false]);
});
