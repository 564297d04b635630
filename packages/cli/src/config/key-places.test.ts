import { expect, test } from "vitest";
import { keyPlaceText, readKeyPlaces } from "./key-places.ts";

test("places are read as a person writes them, and written back the same", () => {
  const places = [{ query: "room" }, { path: "/rooms/:room" }, { header: "x-room" }, { cookie: "room" }];
  const text = places.map(keyPlaceText).join(", ");
  expect(text).toBe("?room, /rooms/:room, header x-room, cookie room");
  expect(readKeyPlaces(text)).toEqual({ places });
  expect(readKeyPlaces(" query room , ?id= ,, HEADER X-Room ")).toEqual({
    places: [{ query: "room" }, { query: "id" }, { header: "x-room" }],
  });
});

test("none and nothing are no place", () => {
  expect([readKeyPlaces("none"), readKeyPlaces("")]).toEqual([{ places: [] }, { places: [] }]);
});

test.each(["room", "/rooms", "/a/:b/:c", "header", "header a b", "header x:y", "?", "?a&b", "cookie a b"])(
  "%j is refused with a sentence",
  (text) => {
    expect(readKeyPlaces(text)).toEqual({ problem: expect.stringMatching(/^".*" (names no place|cannot be).*\.$/) });
  },
);
