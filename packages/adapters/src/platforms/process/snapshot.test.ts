import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { removeSnapshot, takeSnapshot } from "./snapshot.ts";

let dir: string;
let from: string;
let to: string;

beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), "holdover-snapshot-")));
  from = join(dir, "project");
  to = join(from, ".holdover", "releases", "web", "v1");
  await writeTree(from, {
    "server.js": "serve()",
    "lib/room.js": "room()",
    "lib/deep/er.js": "",
    "bin/run": "#!/bin/sh\n",
  });
  await chmod(join(from, "bin/run"), 0o755);
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function writeTree(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

const siblings = (): Promise<string[]> => readdir(dirname(to));

describe("takeSnapshot", () => {
  test("copies every file with its content, its executable bit and its time", async () => {
    await utimes(join(from, "server.js"), 1_700_000_000, 1_700_000_000);
    const snapshot = await takeSnapshot({ from, to });
    expect(snapshot).toMatchObject({ files: 4, bytes: 7 + 6 + 0 + 10, skipped: [] });
    expect(snapshot.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await readFile(join(to, "lib/room.js"), "utf8")).toBe("room()");
    expect((await stat(join(to, "bin/run"))).mode & 0o777).toBe(0o555);
    expect((await stat(join(to, "server.js"))).mtimeMs).toBe(1_700_000_000_000);
    expect(await siblings()).toEqual(["v1"]);
  });

  test("makes files read-only and leaves directories writable", async () => {
    await takeSnapshot({ from, to });
    for (const file of ["server.js", "lib/room.js", "bin/run"]) {
      expect((await stat(join(to, file))).mode & 0o222).toBe(0);
    }
    for (const directory of ["", "lib", "lib/deep"]) {
      expect((await stat(join(to, directory))).mode & 0o700).toBe(0o700);
    }
  });

  test("what happens to the directory afterwards does not reach the snapshot", async () => {
    await takeSnapshot({ from, to });
    await writeFile(join(from, "server.js"), "another()");
    await rm(join(from, "lib"), { recursive: true });
    expect(await readFile(join(to, "server.js"), "utf8")).toBe("serve()");
    expect(await readFile(join(to, "lib/room.js"), "utf8")).toBe("room()");
  });

  test("leaves out .git and the state directory, wherever that stands in the tree", async () => {
    await writeTree(from, { ".git/config": "x", "vendor/part/.git": "gitdir: x", ".holdover/holdover.db": "x" });
    await takeSnapshot({ from, to });
    expect((await readdir(to)).sort()).toEqual(["bin", "lib", "server.js", "vendor"]);
    expect(await readdir(join(to, "vendor/part"))).toEqual([]);
    const elsewhere = join(from, "var", "state", "releases", "web", "v1");
    await writeTree(from, { "var/data.txt": "data" });
    await takeSnapshot({ from, to: elsewhere });
    expect(await readdir(join(elsewhere, "var"))).toEqual(["data.txt"]);
  });

  test("the digest is the same for the same build, and another for any other name, content or executable bit", async () => {
    const copy = join(dir, "copy");
    await writeTree(copy, {
      "lib/deep/er.js": "",
      "bin/run": "#!/bin/sh\n",
      "lib/room.js": "room()",
      "server.js": "serve()",
    });
    await chmod(join(copy, "bin/run"), 0o700);
    const take = async (name: string): Promise<string> =>
      (await takeSnapshot({ from: copy, to: join(dir, "releases/web", name) })).digest;
    const { digest } = await takeSnapshot({ from, to });
    expect(await take("same")).toBe(digest);
    const digests = new Set([digest]);
    await chmod(join(copy, "bin/run"), 0o600);
    digests.add(await take("mode"));
    await writeFile(join(copy, "server.js"), "serve(1)");
    digests.add(await take("content"));
    await mkdir(join(copy, "empty"));
    digests.add(await take("directory"));
    await symlink("server.js", join(copy, "link"));
    digests.add(await take("link"));
    expect(digests.size).toBe(5);
  });

  test("links lead to what they led to, or to its copy", async () => {
    await writeTree(dir, { "shared/part.js": "shared" });
    await symlink("room.js", join(from, "lib/relative"));
    await symlink(join(from, "server.js"), join(from, "lib/absolute"));
    await symlink("../../shared", join(from, "lib/outside"));
    await symlink("/nowhere/at/all", join(from, "lib/dangling"));
    await takeSnapshot({ from, to });
    expect(await readlink(join(to, "lib/relative"))).toBe("room.js");
    expect(await realpath(join(to, "lib/absolute"))).toBe(join(to, "server.js"));
    expect(await realpath(join(to, "lib/outside"))).toBe(join(dir, "shared"));
    expect(await readFile(join(to, "lib/outside/part.js"), "utf8")).toBe("shared");
    expect(await readlink(join(to, "lib/dangling"))).toBe("/nowhere/at/all");
    expect((await lstat(join(to, "lib/outside"))).isSymbolicLink()).toBe(true);
  });

  test("sockets and pipes are skipped and told", async () => {
    await promisify(execFile)("mkfifo", [join(from, "pipe")]);
    const server = createServer().listen(join(from, "socket"));
    await once(server, "listening");
    try {
      const snapshot = await takeSnapshot({ from, to });
      expect(snapshot.skipped).toEqual(["pipe", "socket"]);
      expect(await readdir(to)).not.toContain("socket");
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test("taken again of the same build it changes nothing, and what instances have added does not count", async () => {
    const first = await takeSnapshot({ from, to });
    await writeTree(to, { "lib/cache.tmp": "written by an instance" });
    expect(await takeSnapshot({ from, to })).toEqual(first);
    expect(await readFile(join(to, "lib/cache.tmp"), "utf8")).toBe("written by an instance");
    expect(await siblings()).toEqual(["v1"]);
  });

  test("another build is refused where one is kept, which stays as it is", async () => {
    await takeSnapshot({ from, to });
    await writeFile(join(from, "server.js"), "another()");
    await expect(takeSnapshot({ from, to })).rejects.toMatchObject({
      code: "SNAPSHOT_FAILED",
      details: { dir: from, problem: expect.stringContaining("another build") as string },
    });
    expect(await readFile(join(to, "server.js"), "utf8")).toBe("serve()");
    expect(await siblings()).toEqual(["v1"]);
  });

  test("two at once for one place end with one whole snapshot", async () => {
    const [one, other] = await Promise.all([takeSnapshot({ from, to }), takeSnapshot({ from, to })]);
    expect(one).toEqual(other);
    expect(await siblings()).toEqual(["v1"]);
  });

  test("a directory that is not there is told as such", async () => {
    const missing = join(dir, "nowhere");
    await expect(takeSnapshot({ from: missing, to })).rejects.toMatchObject({
      code: "DIRECTORY_MISSING",
      details: { dir: missing },
    });
    await expect(takeSnapshot({ from: join(from, "server.js"), to })).rejects.toMatchObject({
      code: "DIRECTORY_MISSING",
    });
  });

  test("what a killed process left half copied is removed by the next snapshot", async () => {
    const dead = spawn("true");
    await once(dead, "exit");
    await writeTree(dirname(to), { [`v0.partial-${dead.pid}-0123456789ab/server.js`]: "half" });
    await writeTree(dirname(to), { [`v0.partial-${process.ppid}-0123456789ab/server.js`]: "being copied by another" });
    await takeSnapshot({ from, to });
    expect((await siblings()).sort()).toEqual([`v0.partial-${process.ppid}-0123456789ab`, "v1"]);
  });

  const isRoot = process.platform === "linux" && process.getuid?.() === 0;
  test.runIf(isRoot)("a full disk leaves nothing half copied (needs root, to mount a small one)", async () => {
    const small = join(dir, "small");
    await mkdir(small);
    await promisify(execFile)("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", small]);
    try {
      await writeFile(join(from, "large.bin"), Buffer.alloc(3 * 1024 * 1024, 1));
      const place = join(small, "releases", "web", "v1");
      await expect(takeSnapshot({ from, to: place })).rejects.toMatchObject({
        code: "SNAPSHOT_FAILED",
        details: { dir: from, problem: expect.stringContaining("ENOSPC") as string },
      });
      expect(await readdir(dirname(place))).toEqual([]);
      await rm(join(from, "large.bin"));
      await takeSnapshot({ from, to: place });
      expect(await readdir(dirname(place))).toEqual(["v1"]);
    } finally {
      await promisify(execFile)("umount", [small]);
    }
  });
});

describe("removeSnapshot", () => {
  test("removes it with its read-only files, and nothing beside it", async () => {
    await takeSnapshot({ from, to });
    await takeSnapshot({ from, to: join(dirname(to), "v2") });
    await removeSnapshot(to);
    expect(await siblings()).toEqual(["v2"]);
  });

  test("of one that is not there is fine", async () => {
    await removeSnapshot(to);
    await expect(stat(to)).rejects.toMatchObject({ code: "ENOENT" });
  });
});
