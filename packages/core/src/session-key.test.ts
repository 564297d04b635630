import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../test/sample-service.ts";
import { holdoverConfig, type KeyPlace } from "./service.ts";
import { checkedKey, cookieOf, pathOf, pathWithoutKey, sessionKeyOf, sessionLabelOf } from "./session-key.ts";

const keyOf = (places: readonly KeyPlace[], target: string, headers: Readonly<Record<string, string>> = {}) =>
  sessionKeyOf(places, { target, header: (name) => headers[name] });
const ALL: readonly KeyPlace[] = [
  { header: "x-room" },
  { query: "room" },
  { path: "/rooms/:room" },
  { cookie: "room" },
];

describe("the session key", () => {
  test("comes from the first place of the list that has one", () => {
    const target = "/rooms/from-path?room=from-query";
    const headers = { "x-room": "from-header", cookie: "room=from-cookie" };
    expect(keyOf(ALL, target, headers)).toBe("from-header");
    expect(keyOf(ALL.toReversed(), target, headers)).toBe("from-cookie");
    expect(keyOf(ALL, target, { cookie: "room=from-cookie" })).toBe("from-query");
    expect(keyOf(ALL, "/rooms/from-path", { cookie: "room=from-cookie" })).toBe("from-path");
    expect(keyOf(ALL, "/", { cookie: "room=from-cookie" })).toBe("from-cookie");
  });

  test("is none where no place has one", () => {
    expect(keyOf(ALL, "/")).toBeUndefined();
    expect(keyOf([], "/rooms/a?room=b")).toBeUndefined();
  });

  test("is looked for in the next place where one is there and empty", () => {
    const headers = { "x-room": "  ", cookie: "room=from-cookie" };
    expect(keyOf(ALL, "/rooms/?room=", headers)).toBe("from-cookie");
    expect(keyOf(ALL, "/rooms/?room", headers)).toBe("from-cookie");
  });
});

describe("a header", () => {
  test("is taken without the white space around it, and is not decoded", () => {
    expect(keyOf([{ header: "x-room" }], "/", { "x-room": " a%20b+c " })).toBe("a%20b+c");
  });
});

describe("a query parameter", () => {
  test.each([
    ["/?room=a", "a"],
    ["/x?y=1&room=a&room=b", "a"],
    ["/?room=a%20b", "a b"],
    ["/?room=a+b", "a b"],
    ["/?room=a%2Bb", "a+b"],
    ["/?room=%C3%BC", "ü"],
    ["/?room=a=b", "a=b"],
    ["/?r%6Fom=a", "a"],
    ["/?room=a#room=b", "a"],
    ["/?x=?room=b&room=a", "a"],
    ["http://host:1/p?room=a", "a"],
    ["/?room=%zz", "%zz"],
    ["/?room=%E4%", "%E4%"],
    ["/?%zz=1&room=a", "a"],
  ])("of %s is %j", (target, key) => {
    expect(keyOf([{ query: "room" }], target)).toBe(key);
  });

  test.each(["/", "/?", "/?rooms=a", "/?Room=a", "/?room", "/?room=", "/room=a", "/#?", "/?=a"])(
    "is not in %s",
    (target) => {
      expect(keyOf([{ query: "room" }], target)).toBeUndefined();
    },
  );

  test("reads back whatever a form or encodeURIComponent wrote", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }), (key) => {
        const form = new URLSearchParams({ a: "1", room: key }).toString();
        expect(keyOf([{ query: "room" }], `/?${form}`)).toBe(key);
        expect(keyOf([{ query: "room" }], `/?room=${encodeURIComponent(key)}`)).toBe(key);
      }),
    );
  });
});

test.each([
  ["/rooms/anna", "/rooms/:room"],
  ["/rooms/anna/chat", "/rooms/:room/chat"],
  ["/rooms/", "/rooms/:room"],
  ["/calls/eu/anna", "/calls/:region/:call"],
  ["/calls/eu", "/calls/eu"],
  ["/", "/"],
])("without what may be a key %s is %s", (path, told) => {
  expect(pathWithoutKey([{ query: "room" }, { path: "/rooms/:room" }, { path: "/calls/:region/:call" }], path)).toBe(
    told,
  );
});

describe("a path parameter", () => {
  test.each([
    ["/rooms/:room", "/rooms/a", "a"],
    ["/rooms/:room", "/rooms/a/socket", "a"],
    ["/rooms/:room", "/rooms/a?room=b", "a"],
    ["/rooms/:room/socket", "/rooms/a/socket", "a"],
    ["/:room", "/a", "a"],
    ["/rooms/:room", "/rooms/a%2Fb", "a/b"],
    ["/rooms/:room", "/rooms/a%20b", "a b"],
    ["/rooms/:room", "/rooms/%zz", "%zz"],
    ["/rooms/:room", "http://host/rooms/a", "a"],
    ["/rooms/:room", "ws://host:8080/rooms/a?x", "a"],
  ])("%s in %s is %j", (path, target, key) => {
    expect(keyOf([{ path }], target)).toBe(key);
  });

  test("keeps a plus, which is a space in a query alone: both spellings of it are one room", () => {
    expect(keyOf([{ path: "/rooms/:room" }], "/rooms/a+b")).toBe("a+b");
    expect(keyOf([{ path: "/rooms/:room" }], "/rooms/a%2Bb")).toBe("a+b");
  });

  test.each([
    ["/rooms/:room", "/"],
    ["/rooms/:room", "/rooms"],
    ["/rooms/:room", "/rooms/"],
    ["/rooms/:room", "/Rooms/a"],
    ["/rooms/:room", "/x/rooms/a"],
    ["/rooms/:room/socket", "/rooms/a"],
    ["/rooms/:room/socket", "/rooms/a/sockets"],
  ])("%s is not in %s", (path, target) => {
    expect(keyOf([{ path }], target)).toBeUndefined();
  });

  test("is found for every pattern that the configuration takes", () => {
    const segment = fc.stringMatching(/^[a-z]{1,5}$/);
    const pattern = fc.tuple(fc.array(segment, { maxLength: 2 }), fc.array(segment, { maxLength: 2 }));
    fc.assert(
      fc.property(pattern, segment, ([before, after], key) => {
        const config = (path: string) =>
          holdoverConfig.parse({ services: { a: { command: "x", session: { key: [{ path }] } } } });
        const pathWith = (part: string) => `/${[...before, part, ...after].join("/")}`;
        const places = config(pathWith(":room")).services["a"]?.session.key ?? [];
        expect(keyOf(places, pathWith(key))).toBe(key);
      }),
    );
  });
});

describe("a cookie", () => {
  test.each([
    ["room=a", "a"],
    ["x=1; room=a; room=b", "a"],
    ["x=1;room=a", "a"],
    ['room="a b"', "a b"],
    ['room="a', '"a'],
    ['room=""', ""],
    ["room=a=b", "a=b"],
    ["room=%20", "%20"],
    [" room = a ", "a"],
    ["room", undefined],
    ["rooms=a", undefined],
    ["ROOM=a", undefined],
    ["", undefined],
    [undefined, undefined],
  ])("in %j is %j", (header, value) => {
    expect(cookieOf(header, "room")).toBe(value);
  });
});

describe("the path of a target", () => {
  test.each([
    ["/", "/"],
    ["/a/b?c/d", "/a/b"],
    ["/a#b?c", "/a"],
    ["http://host", "/"],
    ["http://host?x", "/"],
    ["HTTPS://host:1/a?b", "/a"],
    ["//host/a", "//host/a"],
    ["/http://x/a", "/http://x/a"],
    ["*", "*"],
    ["", "/"],
  ])("%j is %j", (target, path) => {
    expect(pathOf(target)).toBe(path);
  });
});

describe("a key that cannot be used is refused, and never cut short", () => {
  const refused = (key: string) => codeOf(() => checkedKey(key, "query room"));

  test("at more than 256 bytes of UTF-8", () => {
    for (const [unit, bytes] of [
      ["a", 1],
      ["ü", 2],
      ["€", 3],
      ["😀", 4],
    ] as const) {
      const fits = unit.repeat(Math.floor(256 / bytes)) + "a".repeat(256 % bytes);
      expect(new TextEncoder().encode(fits).length).toBe(256);
      expect(checkedKey(fits, "query room")).toBe(fits);
      expect(refused(`${fits}a`)).toBe("SESSION_KEY_INVALID");
    }
  });

  test("exactly when the encoder says so, for any text", () => {
    const unit = fc.constantFrom("a", "é", "€", "😀", "\ud800", "\udc00");
    fc.assert(
      fc.property(fc.string({ unit, minLength: 60, maxLength: 280 }), (key) => {
        const tooLong = new TextEncoder().encode(key).length > 256;
        expect(tooLong ? refused(key) : checkedKey(key, "query room")).toBe(tooLong ? "SESSION_KEY_INVALID" : key);
      }),
    );
  });

  test("with a control character anywhere", () => {
    const controls = [...Array.from({ length: 32 }, (_, code) => code), 127].map((code) => String.fromCharCode(code));
    for (const control of controls) {
      expect(refused(`${control}a`)).toBe("SESSION_KEY_INVALID");
      expect(refused(`a${control}`)).toBe("SESSION_KEY_INVALID");
    }
    expect(codeOf(() => keyOf([{ query: "room" }], "/?room=a%0D%0Ab"))).toBe("SESSION_KEY_INVALID");
    expect(codeOf(() => keyOf([{ path: "/:room" }], "/a%00"))).toBe("SESSION_KEY_INVALID");
  });

  test("when it is empty", () => {
    expect(refused("")).toBe("SESSION_KEY_INVALID");
  });

  test("with the place where it stood, and no other place is tried", () => {
    expect(() => keyOf(ALL, "/rooms/a?room=%00")).toThrow(
      expect.objectContaining({
        message: "The session key in query room cannot be used: it has control characters",
        details: { place: "query room", problem: "it has control characters" },
      }),
    );
  });

  test("and nothing else is ever thrown, whatever comes", () => {
    const request = fc.tuple(
      fc.string({ unit: "binary" }),
      fc.dictionary(fc.constantFrom("x-room", "cookie"), fc.string({ unit: "binary" })),
    );
    fc.assert(
      fc.property(request, ([target, headers]) => {
        const outcome = (() => {
          try {
            return typeof keyOf(ALL, `/rooms/${target}`, headers);
          } catch (thrown) {
            return thrown instanceof Error && "code" in thrown ? thrown.code : thrown;
          }
        })();
        expect(["string", "undefined", "SESSION_KEY_INVALID"]).toContain(outcome);
      }),
      { numRuns: 200 },
    );
  });
});

describe("the label of a session", () => {
  const label = { from: [{ header: "x-kind" }, { query: "kind" }], values: ["support", "advisory"] };
  const request = (target: string, headers: Record<string, string> = {}) => ({
    target,
    header: (name: string) => headers[name],
  });

  test("comes from the first place that has a value, read as a key is", () => {
    expect(sessionLabelOf(label, request("/?kind=%61dvisory"))).toBe("advisory");
    expect(sessionLabelOf(label, request("/?kind=advisory", { "x-kind": " support " }))).toBe("support");
    expect(sessionLabelOf(label, request("/?kind=advisory", { "x-kind": "" }))).toBe("advisory");
    const places = { from: [{ path: "/calls/:kind" }, { cookie: "kind" }], values: ["support"] };
    expect(sessionLabelOf(places, request("/calls/support/7"))).toBe("support");
    expect(sessionLabelOf(places, request("/", { cookie: "a=b; kind=support" }))).toBe("support");
  });

  test("is none where the service has none, the request carries none, or one that is not listed", () => {
    expect(sessionLabelOf(null, request("/?kind=support"))).toBeNull();
    expect(sessionLabelOf(label, request("/"))).toBeNull();
    expect(sessionLabelOf(label, request("/?kind=advisory", { "x-kind": "sales" }))).toBeNull();
    expect(sessionLabelOf(label, request(`/?kind=${"x".repeat(10_000)}`))).toBeNull();
  });
});
