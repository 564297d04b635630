import { expect, test } from "vitest";
import { asFailure, callApi, type ApiFailure } from "./api-call.ts";

const answers = (status: number, body: string, seen: RequestInit[] = [], urls: string[] = []) => {
  return (url: string, init: RequestInit): Promise<Response> => {
    urls.push(url);
    seen.push(init);
    return Promise.resolve(new Response(body, { status }));
  };
};

async function failureOf(call: Promise<unknown>): Promise<ApiFailure> {
  return call.then(
    () => expect.fail("it succeeded"),
    (error: unknown) => error as ApiFailure,
  );
}

test("an error of the API is told in its own words", async () => {
  const body = '{"error":{"code":"RELEASE_COLD","what":"No instance.","next":"Deploy it.","details":{}}}';
  const failure = await failureOf(callApi(answers(409, body), "t", { path: "v1/x" }));
  expect(failure).toMatchObject({ status: 409, code: "RELEASE_COLD", what: "No instance.", next: "Deploy it." });
});

test("what is no answer of Holdover is not taken for one", async () => {
  for (const body of ["<h1>Bad gateway</h1>", "{}", '{"error":{"code":1}}', "null", ""]) {
    expect((await failureOf(callApi(answers(502, body), "t", { path: "v1/x" }))).code).toBe("NOT_HOLDOVER");
  }
});

test("nobody who answers is told as that, and that sessions go on", async () => {
  const failure = await failureOf(callApi(() => Promise.reject(new TypeError("failed")), "t", { path: "v1/x" }));
  expect(failure).toMatchObject({ status: 0, code: "UNREACHABLE" });
  expect(failure.next).toContain("Sessions go on");
});

test("a call that is called off throws that, and no failure", async () => {
  const stop = new AbortController();
  stop.abort();
  const call = callApi(() => Promise.reject(new TypeError("x")), "t", { path: "v1/x", signal: stop.signal });
  await expect(call).rejects.toThrow("aborted");
});

test("the token goes in a header and never into the address; what is asked is encoded", async () => {
  const seen: RequestInit[] = [];
  const urls: string[] = [];
  await callApi(answers(200, "{}", seen, urls), "s3cret", {
    path: "v1/sessions",
    query: { search: "a&b=<c>", service: undefined, limit: 5 },
  });
  expect(urls).toEqual(["v1/sessions?search=a%26b%3D%3Cc%3E&limit=5"]);
  expect(seen[0]?.headers).toEqual({ authorization: "Bearer s3cret" });
});

test("whatever the page itself throws is told too", () => {
  expect(asFailure(new Error("x is undefined"))).toMatchObject({
    code: "PAGE",
    what: "The page failed: x is undefined",
  });
});
