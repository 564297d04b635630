// DESIGN: imports run one way, core <- router, control, adapters <- cli; and no cycles anywhere.
const only = (name, from, allowed) => ({
  name,
  severity: "error",
  from: { path: `^packages/${from}/` },
  to: { path: "^packages/", pathNot: [from, ...allowed].map((folder) => `^packages/${folder}/`) },
});
const tests = "\\.test\\.ts$|^packages/[^/]+/test/";

module.exports = {
  forbidden: [
    { name: "no-cycle", severity: "error", from: {}, to: { circular: true } },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "core-is-pure",
      severity: "error",
      from: { path: "^packages/core/src", pathNot: tests },
      to: { dependencyTypes: ["core"] },
    },
    only("core-imports-nothing-of-ours", "core", ["testkit"]),
    only("router-imports-core", "router", ["core", "testkit"]),
    only("control-imports-core", "control", ["core", "testkit"]),
    only("adapters-import-core", "adapters", ["core", "testkit"]),
    // It runs the very same router and control under virtual time: the parts of them that know ports and a clock only.
    only("simulator-imports-what-it-runs", "simulator", ["core", "router", "control"]),
    only("worker-imports-core", "worker", ["core", "testkit"]),
    // It runs in a browser: the other two are for its tests.
    only("client-imports-nothing-of-ours", "client", ["worker", "testkit"]),
    // Types of the API and nothing that runs: the page knows what anybody may know.
    {
      name: "dashboard-knows-the-public-api",
      severity: "error",
      from: { path: "^packages/dashboard/" },
      to: { path: "^packages/", pathNot: ["^packages/dashboard/", "^packages/control/src/api/index\\.ts$"] },
    },
    {
      name: "dashboard-runs-nothing-of-ours",
      severity: "error",
      from: { path: "^packages/dashboard/" },
      to: { path: "^packages/control/", dependencyTypesNot: ["type-only"] },
    },
    only("testkit-imports-core", "testkit", ["core"]),
    {
      name: "testkit-is-for-tests",
      severity: "error",
      from: { path: "^packages/", pathNot: `${tests}|^packages/testkit/` },
      to: { path: "^packages/testkit/" },
    },
    {
      name: "packages-by-their-front-door",
      severity: "error",
      from: { path: "^packages/([^/]+)/" },
      to: { path: "^packages/([^/]+)/src/(?!(api/)?index\\.ts$)", pathNot: "^packages/($1|testkit|adapters)/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(dist|coverage)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
