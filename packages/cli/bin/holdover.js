#!/usr/bin/env node
// Syntax and modules of old Nodes only: what this file imports is TypeScript, which Node 20 cannot even parse.
const found = process.versions.node;
if (Number.parseInt(found, 10) < 24) {
  process.stderr.write(
    `Holdover needs Node 24 or newer; this is Node ${found}.\n` +
      "Start it with `npx holdover` where Node 24 is installed with the project, or put a newer `node` first on the PATH.\n" +
      "NODE_TOO_OLD\n",
  );
  process.exitCode = 2;
} else {
  void import("../src/main.ts").then((holdover) => holdover.runProcess());
}
