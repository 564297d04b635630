import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startApi, TOKEN, type Answer, type RunningApi } from "./api-fixture.ts";
import { FAILURES_MOST } from "./failed-calls.ts";
import { CODE_LASTS_MS, CODES_MOST } from "./sign-in-codes.ts";

const HOURS_12_MS = 12 * 3_600_000;

let running: RunningApi;
beforeEach(async () => {
  running = await startApi();
});
afterEach(() => running.stop());

const bearer = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } });
const codeOf = (answer: Answer): string => {
  expect(answer.status).toBe(201);
  const { path } = answer.json() as { path: string };
  expect(path).toMatch(/^\/#code=[\w-]{43}$/);
  return path.slice("/#code=".length);
};
/** A code from the unix socket, as an operator makes it. */
const newCode = async (body?: object) => codeOf(await running.bySocket("/v1/sign-in-links", { method: "POST", body }));
/** Without a token, as a browser does it. */
const signIn = (code: unknown) => running.byTcp("/v1/sign-in", { method: "POST", headers: {}, body: { code } });
const signedIn = async (code: string) => {
  const answer = await signIn(code);
  expect(answer.status).toBe(200);
  return answer.json() as { name: string; role: string; expiresAtMs: number; token: string };
};
const makeToken = async (name: string, role: string, fields: object = {}): Promise<string> => {
  const answer = await running.bySocket("/v1/tokens", { method: "POST", body: { name, role, ...fields } });
  return (answer.json() as { secret: string }).secret;
};
const tokenNames = async (): Promise<string[]> => {
  const { tokens } = (await running.bySocket("/v1/tokens")).json() as { tokens: { name: string }[] };
  return tokens.map(({ name }) => name);
};

describe("a link", () => {
  test("lets a browser in for 12 hours, with a token that is told once and stored as any other", async () => {
    const { name, role, expiresAtMs, token } = await signedIn(await newCode());
    expect(name).toMatch(/^page-[0-9a-f]{8}$/);
    expect([role, expiresAtMs]).toEqual(["admin", HOURS_12_MS]);
    const me = await running.byTcp("/v1/me", bearer(token));
    expect(me.json()).toEqual({ name, role: "admin", expiresAtMs: HOURS_12_MS });
    expect((await running.bySocket("/v1/tokens")).json()).toMatchObject({ tokens: [{ name, role: "admin" }] });
    running.clock.advance(HOURS_12_MS);
    expect((await running.byTcp("/v1/me", bearer(token))).status).toBe(401);
  });

  test("works once", async () => {
    const code = await newCode();
    await signedIn(code);
    const again = await signIn(code);
    expect([again.status, again.code()]).toEqual([401, "SIGN_IN_REFUSED"]);
    expect(await tokenNames()).toHaveLength(1);
  });

  test("works once however many bring it at the same time", async () => {
    const code = await newCode();
    const answers = await Promise.all(Array.from({ length: 10 }, () => signIn(code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await tokenNames()).toHaveLength(1);
  });

  test("works for 10 minutes", async () => {
    const [early, late] = [await newCode(), await newCode()];
    running.clock.advance(CODE_LASTS_MS - 1);
    await signedIn(early);
    running.clock.advance(1);
    expect((await signIn(late)).code()).toBe("SIGN_IN_REFUSED");
  });

  test(`is forgotten when ${CODES_MOST} others were made after it`, async () => {
    const oldest = await newCode();
    const next = await newCode();
    for (let made = 1; made < CODES_MOST; made += 1) await newCode();
    expect((await signIn(oldest)).code()).toBe("SIGN_IN_REFUSED");
    await signedIn(next);
  });

  test("stands nowhere: not in what is stored, not in what is logged", async () => {
    const code = await newCode();
    const { token } = await signedIn(code);
    const told = JSON.stringify([running.audit.stored, running.logged, (await running.bySocket("/v1/tokens")).text]);
    expect(told).not.toContain(code);
    expect(told).not.toContain(token);
  });

  test("is in the audit log as what came of it, with who made it", async () => {
    const made = await running.bySocket("/v1/sign-in-links", { method: "POST", headers: { "holdover-actor": "ana" } });
    const { name } = await signedIn(codeOf(made));
    expect(await running.audit.tail(1)).toMatchObject([
      {
        kind: "token.created",
        actor: "operator:ana",
        reason: "a browser signed in by a link",
        detail: { token: name, role: "admin", expiresAtMs: HOURS_12_MS },
      },
    ]);
  });
});

describe("the role of a link", () => {
  test.each(["viewer", "deployer", "admin"])("can be made %s by whoever may do everything", async (role) => {
    expect((await signedIn(await newCode({ role }))).role).toBe(role);
  });

  test("is that of the token which it was asked for with, or less, and never more", async () => {
    const token = await makeToken("ci", "deployer");
    const ask = (body?: object) => running.byTcp("/v1/sign-in-links", { method: "POST", ...bearer(token), body });
    expect((await signedIn(codeOf(await ask()))).role).toBe("deployer");
    expect((await signedIn(codeOf(await ask({ role: "viewer" })))).role).toBe("viewer");
    const refused = await ask({ role: "admin" });
    expect([refused.status, refused.code()]).toEqual([403, "FORBIDDEN"]);
  });

  test("does not outlive the token which it was asked for with, through any number of links", async () => {
    let token = await makeToken("ci", "viewer", { lastsMs: 3_600_000 });
    for (let link = 0; link < 3; link += 1) {
      const made = await running.byTcp("/v1/sign-in-links", { method: "POST", ...bearer(token) });
      const page = await signedIn(codeOf(made));
      expect(page.expiresAtMs).toBe(3_600_000);
      ({ token } = page);
      running.clock.advance(600_000);
    }
    running.clock.advance(3_600_000);
    expect((await running.byTcp("/v1/me", bearer(token))).status).toBe(401);
  });
});

describe("a sign-in", () => {
  test.each([
    ["a code that was never made", "x".repeat(43)],
    ["an empty code", ""],
  ])("with %s is refused, with what to do next", async (_what, code) => {
    const answer = await signIn(code);
    expect([answer.status, answer.code()]).toEqual([401, "SIGN_IN_REFUSED"]);
    expect(answer.text).toContain("holdover dashboard");
    expect(await tokenNames()).toEqual([]);
  });

  test.each([
    ["a code that is too long", { code: "x".repeat(201) }],
    ["no code", {}],
    ["a code that is no text", { code: 7 }],
    ["more than a code", { code: "x", role: "admin" }],
    ["a body that is over its limit", { code: "x", padding: "y".repeat(2000) }],
    ["a body that is no JSON", "{"],
  ])("with %s is invalid", async (_what, body) => {
    const answer = await running.byTcp("/v1/sign-in", { method: "POST", headers: {}, body });
    expect([answer.status, answer.code()]).toEqual([400, "REQUEST_INVALID"]);
  });

  test("that fails counts as a call without a token; a code that is valid is taken all the while", async () => {
    const code = await newCode();
    for (let call = 0; call < FAILURES_MOST; call += 1) expect((await signIn(`wrong ${call}`)).status).toBe(401);
    expect((await signIn("wrong")).code()).toBe("TOO_MANY_FAILURES");
    expect((await running.byTcp("/v1/status", bearer("wrong"))).code()).toBe("TOO_MANY_FAILURES");
    await signedIn(code);
  });

  test("removes the tokens of browsers that have expired, and no other token", async () => {
    await makeToken("page-turner", "viewer", { lastsMs: 1000 });
    await makeToken("ci", "viewer", { lastsMs: 1000 });
    const first = await signedIn(await newCode());
    running.clock.advance(HOURS_12_MS / 2);
    const second = await signedIn(await newCode());
    running.clock.advance(HOURS_12_MS / 2);
    const third = await signedIn(await newCode());
    expect(await tokenNames()).toEqual(expect.arrayContaining(["ci", "page-turner", second.name, third.name]));
    expect(await tokenNames()).not.toContain(first.name);
    expect(await running.audit.tail(2)).toMatchObject([
      { kind: "token.revoked", actor: "control", detail: { token: first.name } },
      { kind: "token.created", detail: { token: third.name } },
    ]);
  });

  test("of a 201st browser is refused: the tokens that people make have room left", async () => {
    for (let browser = 0; browser < 200; browser += 1) await signedIn(await newCode());
    const refused = await signIn(await newCode());
    expect([refused.status, refused.code()]).toEqual([400, "REQUEST_INVALID"]);
    await makeToken("ci", "viewer");
    expect(await tokenNames()).toContain("ci");
  });
});

describe("signing out", () => {
  const signOut = (token: string) => running.byTcp("/v1/sign-out", { method: "POST", ...bearer(token) });

  test("takes back the browser's token, whatever its role", async () => {
    const { name, token } = await signedIn(await newCode({ role: "viewer" }));
    expect((await signOut(token)).json()).toEqual({ revoked: true });
    expect((await running.byTcp("/v1/me", bearer(token))).status).toBe(401);
    expect(await running.audit.tail(1)).toMatchObject([
      { kind: "token.revoked", actor: `api:${name}`, detail: { token: name } },
    ]);
  });

  test("leaves a token that a person made, and the one in the file", async () => {
    const ci = await makeToken("ci", "viewer");
    for (const token of [ci, TOKEN]) {
      expect((await signOut(token)).json()).toEqual({ revoked: false });
      expect((await running.byTcp("/v1/me", bearer(token))).status).toBe(200);
    }
  });
});

describe("who calls", () => {
  test("is told by the token's name and role, and by the unix socket as the operator", async () => {
    expect((await running.byTcp("/v1/me")).json()).toEqual({ name: "admin", role: "admin", expiresAtMs: null });
    expect((await running.bySocket("/v1/me")).json()).toEqual({ name: "operator", role: "admin", expiresAtMs: null });
    const eye = await makeToken("eye", "viewer", { lastsMs: 5000 });
    expect((await running.byTcp("/v1/me", bearer(eye))).json()).toEqual({
      name: "eye",
      role: "viewer",
      expiresAtMs: 5000,
    });
  });

  test("is nobody without a token, who can make no link", async () => {
    for (const [method, path] of [
      ["GET", "/v1/me"],
      ["POST", "/v1/sign-in-links"],
      ["POST", "/v1/sign-out"],
    ] as const) {
      expect((await running.byTcp(path, { method, headers: {} })).status).toBe(401);
    }
  });
});
