import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HoldoverError } from "@holdover/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configIssuesOf } from "./issue.ts";
import { loadConfig } from "./load.ts";
import { locate } from "./locate.ts";
import { configTemplate } from "./template.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-config-"));
});
afterAll(async () => rm(dir, { recursive: true }));

async function refusal(content: string | Buffer): Promise<HoldoverError> {
  await writeFile(join(dir, "holdover.yaml"), content);
  const error: unknown = await loadConfig("holdover.yaml", dir).then(
    () => "it was accepted",
    (thrown: unknown) => thrown,
  );
  if (error instanceof HoldoverError) return error;
  throw new Error("expected a HoldoverError", { cause: error });
}

/** Each issue as `line:column problem | remedy`. */
async function issues(content: string | Buffer): Promise<string[]> {
  const error = await refusal(content);
  expect(error.code).toBe("CONFIG_INVALID");
  return (configIssuesOf(error)?.issues ?? []).map(
    ({ line, column, problem, remedy }) => `${line}:${column} ${problem} | ${remedy}`,
  );
}

const service = (lines: string) => `services:\n  rooms:\n    command: node server.js\n${lines}`;
const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]", "b", "c", "d", "e", "f", "g", "h"]
  .map((name, index, all) => {
    if (index === 0) return name;
    const before = index === 1 ? "a" : String(all[index - 1]);
    return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(",")}]`;
  })
  .join("\n");

/** What the file says, and exactly what is answered. */
const BAD: Readonly<Record<string, readonly [content: string | Buffer, ...answers: string[]]>> = {
  "an empty file": [
    "",
    "1:1 the file is empty, and has to be a map | Write for example `services: { rooms: { command: node server.js } }`.",
  ],
  "a file of comments": [
    "# nothing yet\n",
    "1:1 the file is empty, and has to be a map | Write for example `services: { rooms: { command: node server.js } }`.",
  ],
  "a list instead of a map": [
    "- rooms\n- chat\n",
    "1:1 the file is a list, and has to be a map | Write for example `services: { rooms: { command: node server.js } }`.",
  ],
  "plain text": [
    "hello there\n",
    '1:1 the file is "hello there", and has to be a map | Write for example `services: { rooms: { command: node server.js } }`.',
  ],
  "a tab for indentation": [
    "services:\n\trooms:\n\t\tcommand: x\n",
    "2:1 a tab stands where YAML wants spaces | Indent with spaces, for example two a level.",
    "3:1 a tab stands where YAML wants spaces | Indent with spaces, for example two a level.",
  ],
  "a key that stands twice": [
    service("    command: node other.js\n"),
    "4:5 the key `command` stands here a second time | Keep one of the two; the first is on line 3.",
  ],
  "a misspelt key, which is not missing as well": [
    "services:\n  rooms:\n    comand: node server.js\n",
    "3:5 unknown key `comand`; did you mean `command`? | Write `command`, or take the line out.",
  ],
  "an unknown key that is like no other": [
    service("    health:\n      colour: red\n"),
    "5:7 unknown key `colour` | Take it out; known here: path, worker, startTimeout, interval, timeout.",
  ],
  "unknown keys at several depths, each on its line": [
    `lisen: 127.0.0.1:80\n${service("    session:\n      key:\n        - hedaer: x-room\n      lingre: 5m\n")}`,
    "1:1 unknown key `lisen`; did you mean `listen`? | Write `listen`, or take the line out.",
    "7:11 unknown key `hedaer`; did you mean `header`? | Write `header`, or take the line out.",
    "8:7 unknown key `lingre`; did you mean `linger`? | Write `linger`, or take the line out.",
  ],
  "two places of a key in one entry": [
    service("    session:\n      key:\n        - header: x-room\n          query: room\n"),
    "7:11 `query` cannot stand beside `header` | Make each a list entry of its own.",
  ],
  "a duration with an unknown unit": [
    service("    session: { linger: 5x }\n"),
    '4:24 `linger`: "5x" is not a duration | Write for example 30s, 5m or 1h.',
  ],
  "a duration without a unit": [
    service("    session:\n      linger: 60\n"),
    "5:15 `linger` is the number 60, and has to be text | Add a unit, for example `linger: 60s`.",
  ],
  "numbers and truth values where text belongs, with the very digits": [
    service("    release: 1.10\n    env:\n      PORT: 8080\n      DEBUG: true\n"),
    '4:14 `release` is the number 1.1, and has to be text | Put it in quotes: `release: "1.10"`.',
    '6:13 `PORT` is the number 8080, and has to be text | Put it in quotes: `PORT: "8080"`.',
    '7:14 `DEBUG` is true, and has to be text | Put it in quotes: `DEBUG: "true"`.',
  ],
  "a number in a command": [
    "services:\n  rooms:\n    command: [node, server.js, 5]\n",
    '3:32 `command[2]` is the number 5, and has to be text | Put it in quotes: `"5"`.',
  ],
  "a map for a command": [
    "services:\n  rooms:\n    command: { run: node }\n",
    "3:14 `command` is a map, and has to be text or a list | Write for example `command: node server.js`.",
  ],
  "text where a list belongs": [
    service("    hosts: chat.example.com\n"),
    '4:12 `hosts` is "chat.example.com", and has to be a list | Write for example `hosts: [chat.example.com]`.',
  ],
  "numbers out of range": [
    service("    instances: 0\n    capacity: 1.5\n"),
    "4:16 `instances` is 0, which is out of range | Write a whole number from 1 to 256.",
    "5:15 `capacity` is the number 1.5, and has to be a whole number | Write for example `capacity: 100`.",
  ],
  "a name that cannot be a service's": [
    "services:\n  Chat_Rooms:\n    command: x\n",
    "2:3 `Chat_Rooms` cannot be a name here: a service name is 1 to 40 of a-z, 0-9 and dash, the first no dash | Rename it.",
  ],
  "no services": [
    "listen: 127.0.0.1:8080\n",
    "1:1 the file has no `services` | Add it, for example `services: { rooms: { command: node server.js } }`.",
  ],
  "services that are empty": [
    "services: {}\n",
    "1:11 `services` is empty | Write for example `services: { rooms: { command: node server.js } }`.",
  ],
  "a service that is empty": [
    "services:\n  rooms:\n",
    "2:3 `rooms` is empty, and has to be a map | Write for example `rooms: { command: node server.js }`.",
  ],
  "a service without a command": [
    "services:\n  rooms:\n    instances: 2\n",
    "2:3 `rooms` has no `command` | Add it, for example `command: node server.js`.",
  ],
  "a quantile in percent": [
    service("    retention: { policy: quantile, quantile: 95 }\n"),
    "4:46 `quantile` is 95, which is out of range | Write a number above 0 and below 1.",
  ],
  "a factor of nothing": [
    service("    retention: { policy: quantile, factor: 0 }\n"),
    "4:44 `factor` is 0, which is out of range | Write a number above 0 and up to 100.",
  ],
  "an unknown retention policy": [
    service("    retention: { policy: untilempty }\n"),
    '4:26 `policy` cannot be "untilempty"; did you mean until-empty? | Write one of: budget, quantile, fixed, until-empty.',
  ],
  "a path that starts nowhere": [
    service("    path: chat\n"),
    '4:11 `path` is "chat", and has to start with / | Write for example `path: /`.',
  ],
  "a wrong value under an anchor, told once and where it is written": [
    "services:\n  a: &base\n    command: x\n    instances: many\n  b:\n    <<: *base\n    path: /b\n",
    '4:16 `instances` is "many", and has to be a whole number | Write for example `instances: 1`.',
  ],
  "two services with the same host and path": [
    "services:\n  a: { command: x, hosts: [A.example.com], path: /chat }\n  b: { command: x, hosts: [b.example.com, a.example.com], path: /chat/ }\n",
    "3:43 service `b` answers for the same host a.example.com and path /chat as service `a` | Give one of the two another `hosts` or `path`.",
  ],
  "two services that answer for everything": [
    "services:\n  a: { command: x }\n  b: { command: x }\n",
    "3:3 service `b` answers for the same hosts (any) and path / as service `a` | Give one of the two another `hosts` or `path`.",
  ],
  "an API that the network could reach": [
    `api: 0.0.0.0:8090\n${service("")}`,
    "1:6 `api` is 0.0.0.0:8090, and without TLS the control API answers on loopback only | Write `api: 127.0.0.1:8090`, or name a certificate: `apiTls: { cert: FILE, key: FILE }`.",
  ],
  "one address for both": [
    `listen: 127.0.0.1:8090\n${service("")}`,
    "1:9 `listen` and `api` are both 127.0.0.1:8090 | Give each an address of its own.",
  ],
  "a state directory too deep for a unix socket": [
    `state: /${"deep/".repeat(25)}\n${service("")}`,
    `1:8 the path of the control socket would be 142 bytes long, and a unix socket takes ${process.platform === "darwin" ? 103 : 107} | Name a directory with a shorter path, for example \`state: /var/lib/holdover\`.`,
  ],
  "a bracket that is not closed": [
    "services: { rooms: { command: x }\n",
    "2:1 a `}` is missing | Close what is open with a `}`.",
  ],
  "a quote that is not closed": [
    "services:\n  rooms:\n    command: 'node server.js\n",
    "4:1 a quote was opened before this and is not closed | Close it with the same quote.",
  ],
  "a line that is indented differently": [
    "services:\n  rooms:\n    command: x\n   dir: y\n",
    "4:1 this line is not indented like the ones it belongs to | Give all keys of one map, and all entries of one list, the same indentation.",
  ],
  "a value with a colon in it": [
    "services:\n  rooms:\n    command: node: server.js\n",
    "3:14 here a key or a value goes on where YAML does not let it | Write `key: value` with a space after the colon; a value that contains `: ` goes in quotes.",
  ],
  "two documents": [
    `${service("")}---\nservices: {}\n`,
    "4:1 a second document begins here | Keep one document in the file: take out the line `---`.",
  ],
  "an alias for nothing": [
    "services:\n  rooms: *base\n",
    "2:10 the alias `*base` stands for nothing | Declare `&base` before it, or put the text in quotes.",
  ],
  "a tag": [
    "services:\n  rooms: { command: !env START }\n",
    "2:21 a tag (a word that begins with !) means nothing here | Take it out; text that begins with ! goes in quotes.",
  ],
  "a bomb of aliases": [bomb, "2:8 its aliases unfold to more than 100 values | Write out what the aliases stand for."],
  "binary garbage": [
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0x0a, 0x02, 0xff, 0xfe, 0x00]),
    "2:2 this is not text in UTF-8 | Save the file in UTF-8, or name the right file with --config.",
  ],
  "a control character": [
    "listen: 127.0.0.1:8080\nstate: a\u0000b\n",
    "2:9 the character U+0000 cannot stand in YAML | Write the file as plain text in UTF-8.",
  ],
  "a prototype as a key": [
    `${service("")}__proto__: { listen: x }\n`,
    "4:1 unknown key `__proto__` | Take it out; known here: $schema, listen, api, apiTls, state, trustForwarded, accessLog, limits, audit, shutdownGrace, services.",
  ],
};

describe("loadConfig tells line, column, mistake and remedy of", () => {
  test.for(Object.entries(BAD))("%s", async ([, [content, ...answers]]) => {
    expect(await issues(content)).toEqual(answers);
  });
});

test("the first issue is in the details of CONFIG_INVALID, with the file as it was named", async () => {
  const error = await refusal(service("    comand: x\n    instances: 0\n"));
  expect(error.details).toMatchObject({
    where: "holdover.yaml:4:5",
    problem: "unknown key `comand`; did you mean `command`?",
    remedy: "Write `command`, or take the line out.",
    issues: 2,
  });
  expect(error.exit).toBe(2);
});

test("a file that is missing, a directory or over 1 MiB is refused before it is parsed", async () => {
  await expect(loadConfig("nowhere.yaml", dir)).rejects.toMatchObject({ code: "CONFIG_MISSING" });
  await mkdir(join(dir, "folder.yaml"));
  await expect(loadConfig("folder.yaml", dir)).rejects.toThrow("folder.yaml:1:1: it is a directory");
  expect(await issues(`# ${"x".repeat(1_048_576)}`)).toEqual([
    "1:1 it is over 1 MiB | Name the right file with --config, or split what it runs.",
  ]);
});

test("a file nested without end is refused, and twenty thousand keys are all compared", async () => {
  expect(await issues("[".repeat(50_000))).toEqual([
    expect.stringContaining("it is nested too deeply to be read | Write lists and maps a few levels deep only."),
  ]);
  const keys = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join("\n");
  expect(await issues(`${keys}\nk7: 2\n`)).toEqual([
    "20001:1 the key `k7` stands here a second time | Keep one of the two; the first is on line 8.",
  ]);
});

test("a good file comes with its directories as absolute paths and its sections as they were written", async () => {
  await writeFile(
    join(dir, "holdover.yaml"),
    "\uFEFFstate: ../state\r\nservices:\r\n  a: &a\r\n    command: node a.js\r\n    session: { linger: 5m }\r\n  b:\r\n    <<: *a\r\n    path: /b\r\n",
  );
  const loaded = await loadConfig("holdover.yaml", dir);
  expect(loaded).toMatchObject({ file: join(dir, "holdover.yaml"), dir, stateDir: join(dir, "..", "state") });
  expect(loaded.config.services["a"]?.session.linger).toBe(300_000);
  expect(loaded.sections["b"]).toEqual({ command: "node a.js", session: { linger: "5m" }, path: "/b" });
});

test("what `holdover init` writes is a good file, whatever the command contains", async () => {
  const command = "node \"a b.js\" --x='#1' # : {yes}";
  const key = [{ query: "a:b#c" }, { path: "/rooms/:room" }, { header: "x-room" }, { cookie: "yes" }];
  const hints = { keys: key.map((what) => ({ what, where: "a.js:1" })), health: null, readsPort: true };
  const answers = { service: "rooms", command, dir: "- ./odd: name", key };
  await writeFile(join(dir, "holdover.yaml"), configTemplate(answers, hints));
  const { sections, config } = await loadConfig("holdover.yaml", dir);
  expect(sections["rooms"]).toMatchObject({ command, dir: "- ./odd: name", release: "v1" });
  expect(config.services["rooms"]?.session.key).toEqual(key);
});

test("the configuration is found in a directory above, and its state directory even while the file is in disorder", async () => {
  const below = join(dir, "a", "b");
  await mkdir(below, { recursive: true });
  await writeFile(join(dir, "holdover.yaml"), "state: elsewhere\nservices:\n  rooms:\n    comand: [x\n  chat: {}\n");
  const located = await locate(undefined, below);
  expect(located).toMatchObject({ file: "../../holdover.yaml", stateDir: join(dir, "elsewhere") });
  await expect(locate("other.yaml", below)).rejects.toMatchObject({ code: "CONFIG_MISSING" });
});
