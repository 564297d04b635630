import { existsSync } from "node:fs";
import { glob, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

test("every link of the docs to a file or a heading of this repository leads to one that is there", async () => {
  const pages = new Map<string, string>();
  for await (const name of glob(["*.md", "docs/**/*.md", "bench/*.md", "examples/*/README.md"], { cwd: ROOT })) {
    const file = join(ROOT, name);
    pages.set(file, await readFile(file, "utf8"));
  }
  const broken: string[] = [];
  let links = 0;
  for (const [file, text] of pages) {
    for (const target of linksOf(text)) {
      links += 1;
      const [path = "", anchor] = target.split("#");
      const linked = path === "" ? file : resolve(dirname(file), decodeURIComponent(path));
      const page = pages.get(linked);
      const there = existsSync(linked) && (anchor === undefined || page === undefined || anchorsOf(page).has(anchor));
      if (!there) broken.push(`${file.slice(ROOT.length)}: ${target}`);
    }
  }
  expect(links).toBeGreaterThan(50);
  expect(broken).toEqual([]);
});

test("a link by reference has its address at the end of the page", async () => {
  const missing: string[] = [];
  for await (const name of glob("docs/**/*.md", { cwd: ROOT })) {
    const text = withoutCode(await readFile(join(ROOT, name), "utf8"));
    const defined = new Set([...text.matchAll(/^\[([^\]]+)\]: /gm)].map(([, key]) => key));
    for (const [, key] of text.matchAll(/\]\[([^\]]+)\]/g)) if (!defined.has(key)) missing.push(`${name}: ${key}`);
  }
  expect(missing).toEqual([]);
});

test("docs/README.md leads to every guide", async () => {
  const index = await readFile(join(ROOT, "docs/README.md"), "utf8");
  const left: string[] = [];
  for await (const name of glob("*.md", { cwd: join(ROOT, "docs"), exclude: ["README.md"] })) {
    if (!index.includes(`](${name})`)) left.push(name);
  }
  expect(left).toEqual([]);
});

/** Those that stay in the repository. */
function linksOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target ?? "")
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** What GitHub makes of the headings. */
function anchorsOf(text: string): Set<string> {
  return new Set(
    [...withoutCode(text).matchAll(/^#+ +(.+)$/gm)].map(([, heading]) =>
      (heading ?? "")
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replaceAll(" ", "-"),
    ),
  );
}

function withoutCode(text: string): string {
  return text.replaceAll(/^(```|~~~)[^]*?^\1/gm, "").replaceAll(/`[^`\n]*`/g, (code) => code.slice(1, -1));
}
