import { expect, test } from "vitest";
import { codeIn } from "./token.ts";

test("the code of a sign-in link is taken out of the fragment", () => {
  expect(codeIn("#code=abc-_1")).toEqual({ code: "abc-_1", rest: "" });
  expect(codeIn("#code=a%2Bb&/audit")).toEqual({ code: "a+b", rest: "#/audit" });
});

test("a fragment without a code stays as it is, also one with a code inside something else", () => {
  for (const fragment of ["", "#", "#/sessions?release=v1", "#/session?service=s&key=code%3Dx", "#xcode=1"]) {
    expect(codeIn(fragment)).toEqual({ code: null, rest: fragment });
  }
});

test("a code that is encoded wrongly is tried as it stands", () => {
  expect(codeIn("#code=%zz")).toEqual({ code: "%zz", rest: "" });
});
