import { get } from "node:http";
import { findingOf, type Finding } from "./finding.ts";
import { ECHO_DIR, SERVICE } from "./holdover-row.ts";
import { quantile } from "./quantiles.ts";
import type { Extent, Say, Stage } from "./stage.ts";

/**
 * A table change in force: from the API call to its answer, which comes when the router has acknowledged the new table.
 * v2 is promoted and rolled back in turn.
 */
export async function tableChanges({ holdover }: Stage, extent: Extent, say: Say): Promise<Finding[]> {
  const { cluster } = holdover;
  say("table changes: v2 is deployed");
  await cluster.succeed("deploy", SERVICE, "--release", "v2", "--dir", ECHO_DIR, "--no-promote");
  say(`table changes: ${extent.tableChanges} in a row`);
  const spans = new Float64Array(extent.tableChanges);
  for (let n = 0; n < spans.length; n++) {
    const release = n % 2 === 0 ? "v2" : "v1";
    const path = release === "v2" ? "releases/v2/promote" : "rollback";
    const startedAt = performance.now();
    const { id } = await cluster.api<{ id: string }>("POST", `/v1/services/${SERVICE}/${path}`, {});
    spans[n] = performance.now() - startedAt;
    const placed = await releaseOfNewSession(`${cluster.url}/?room=table-change-${n}`);
    if (id !== release || placed !== release)
      throw new Error(`a new session went to ${placed} after ${release} was it`);
  }
  spans.sort();
  const one = (value: number) => new Map([["holdover", [value]]] as const);
  return [
    findingOf("a table change in force, p50", "ms", one(quantile(spans, 0.5)), null),
    findingOf(
      "a table change in force, p99",
      "ms",
      one(quantile(spans, 0.99)),
      {
        of: "value",
        limit: "≤",
        bound: 50,
      },
      { overBound: spans.filter((span) => span > 50).length, mostMs: quantile(spans, 1) },
    ),
  ];
}

/** Where the router places a session now: what is in force is what it does. */
function releaseOfNewSession(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      response.resume();
      resolve(String(response.headers["x-release"]));
    }).once("error", reject);
  });
}
