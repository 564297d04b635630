import { afterEach, expect, test, vi } from "vitest";
import { sessionUrl } from "./session-url.ts";

afterEach(() => vi.unstubAllGlobals());

test("http and https become ws and wss; a fragment goes; the rest stays", () => {
  expect(sessionUrl("http://a.test:81/x?y=1#z", undefined)).toEqual({ target: "ws://a.test:81/x?y=1", key: null });
  expect(sessionUrl("https://a.test", undefined).target).toBe("wss://a.test/");
});

test.each(["nowhere", "ftp://a.test", ""])("%j is no URL to connect to", (url) => {
  expect(() => sessionUrl(url, undefined)).toThrow(TypeError);
});

test("the key is the one given, else the one in the URL, else a new one that nobody guesses", () => {
  const query = "room";
  expect(sessionUrl("ws://a.test/?room=b", { query, key: "c d" })).toEqual({
    target: "ws://a.test/?room=c+d",
    key: "c d",
  });
  expect(sessionUrl("ws://a.test/?room=b", { query })).toEqual({ target: "ws://a.test/?room=b", key: "b" });
  const { target, key } = sessionUrl("ws://a.test/", { query });
  expect(key).toMatch(/^[0-9a-f]{32}$/);
  expect(target).toBe(`ws://a.test/?room=${key}`);
  expect(sessionUrl("ws://a.test/", { query }).key).not.toBe(key);
});

test("in a browser, a reload comes back to the session of its tab; where storage is forbidden it does without", () => {
  const storage = new Map<string, string>();
  const sessionStorage = {
    getItem: (name: string) => storage.get(name) ?? null,
    setItem: (name: string, value: string) => void storage.set(name, value),
  };
  vi.stubGlobal("location", { href: "https://shop.test/page/" });
  vi.stubGlobal("sessionStorage", sessionStorage);
  const first = sessionUrl("live", { query: "s" });
  expect(first.target).toBe(`wss://shop.test/page/live?s=${first.key}`);
  expect(sessionUrl("live", { query: "s" })).toEqual(first);
  expect(sessionUrl("other", { query: "s" }).key).not.toBe(first.key);
  const forbidden = () => {
    throw new Error("SecurityError");
  };
  vi.stubGlobal("sessionStorage", { getItem: forbidden, setItem: forbidden });
  expect(sessionUrl("live", { query: "s" }).key).toMatch(/^[0-9a-f]{32}$/);
});
