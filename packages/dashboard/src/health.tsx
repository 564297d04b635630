import type { StatusView } from "@holdover/control/api";
import { chain } from "./data/audit-feed.ts";
import { freshness, isLive, nowMs, skewMs, status } from "./data/store.ts";
import type { Tone } from "./parts/callout.tsx";
import { Told } from "./parts/told.tsx";
import { bytes, counted, duration, fullTime, number } from "./words/figures.ts";

interface Part {
  readonly name: string;
  readonly tone: Tone;
  readonly word: string;
  readonly why: string;
}

/** How the parts of Holdover are: one look, each with its reason. */
export function Health() {
  const view = status.value;
  const parts = [freshnessPart(), ...(view ? partsOf(view) : [])];
  return (
    <ul class="health" aria-label="Health">
      {parts.map(({ name, tone, word, why }) => (
        <li key={name}>
          <Told why={why} class={`told pill ${tone}`}>
            <span class="dot" aria-hidden="true" />
            <span class="quiet">{name}</span> {word}
          </Told>
        </li>
      ))}
    </ul>
  );
}

function freshnessPart(): Part {
  const fresh = freshness.value;
  const why =
    "Control sends its status every few seconds. After 12 s without a word, or when the connection breaks, what is shown is old and greyed out.";
  switch (fresh.kind) {
    case "connecting":
      return { name: "Page", tone: "quiet", word: "connecting", why };
    case "live":
      return { name: "Page", tone: "good", word: "live", why };
    case "stale":
      return { name: "Page", tone: "bad", word: `stale for ${duration(fresh.ageMs)}`, why };
  }
}

function partsOf(view: StatusView): Part[] {
  // What was true when the page last heard of it is told, but not as if it were true now.
  const old = !isLive.value;
  const parts = [
    routerPart(view),
    tablePart(view),
    controlPart(view),
    ...storeParts(view),
    ...chainParts(),
    ...sinkParts(view),
    ...skewParts(),
  ];
  return old ? parts.map((part) => ({ ...part, tone: "quiet" as const })) : parts;
}

function routerPart({ router }: StatusView): Part {
  const since = router.linkSinceMs === undefined ? "" : ` Since ${fullTime(router.linkSinceMs)}.`;
  const where = router.address === null ? "" : ` Clients connect at ${router.address}.`;
  if (!router.linked) {
    return {
      name: "Router",
      tone: "bad",
      word: "no link",
      why: `The host is not linked to control.${since} Sessions go on by the last table; counts are not known and changes wait.`,
    };
  }
  if (router.closing) {
    return {
      name: "Router",
      tone: "warn",
      word: "closing",
      why: `Holdover is shutting down: no new session is taken.${where}`,
    };
  }
  return {
    name: "Router",
    tone: "good",
    word: "linked",
    why: `The host is linked to control over its unix socket.${since}${where}`,
  };
}

function tablePart({ router: { tableIssued, tableInForce } }: StatusView): Part {
  const same = tableInForce === tableIssued;
  const why = `Control signed and issued routing table ${number(tableIssued)}; the router goes by ${
    tableInForce === null ? "one that is not known" : `table ${number(tableInForce)}`
  }. Where they differ, a change is on its way or waits for the host.`;
  if (tableInForce === null) return { name: "Table", tone: "warn", word: `not known of ${number(tableIssued)}`, why };
  return {
    name: "Table",
    tone: same ? "good" : "warn",
    word: same ? number(tableInForce) : `${number(tableInForce)} of ${number(tableIssued)}`,
    why,
  };
}

function controlPart({ version, startedAtMs }: StatusView): Part {
  return {
    name: "Control",
    tone: "good",
    word: `${version} · up ${duration(nowMs.value - startedAtMs)}`,
    why: `The control process, version ${version}, started ${fullTime(startedAtMs)}. It plans and answers this page; no session depends on it.`,
  };
}

function storeParts({ store, hostStore }: StatusView): Part[] {
  const of = [
    ["Store", store, "Control's database: releases, audit, history and tokens are in it."],
    ["Pins", hostStore, "The host's database: pins and checkpoints are in it."],
  ] as const;
  return of.flatMap(([name, known, what]): Part[] => {
    if (known === undefined) return [];
    if (known === null)
      return [{ name, tone: "warn", word: "not known", why: `${what} The host does not tell how it is.` }];
    const size = known.sizeBytes === null ? "Its size is not known." : `It has ${bytes(known.sizeBytes)} on disk.`;
    return known.problem === null
      ? [{ name, tone: "good", word: "stored", why: `${what} The last change was stored. ${size}` }]
      : [
          {
            name,
            tone: "bad",
            word: "failing",
            why: `${what} The last change was not stored: ${known.problem}. ${size}`,
          },
        ];
  });
}

function chainParts(): Part[] {
  const now = chain.value;
  if (now.kind === "broken") {
    const word = `broken at ${number(now.seq)}`;
    return [{ name: "Audit", tone: "bad", word, why: `${now.problem}. See the audit view.` }];
  }
  if (now.kind !== "sound") return [];
  const why = `This page followed the hash chain of the audit log from entry ${number(now.from.seq + 1)} to ${number(now.head.seq)}, and goes on with each new one.`;
  return [{ name: "Audit", tone: "good", word: `chain holds at ${number(now.head.seq)}`, why }];
}

function sinkParts({ auditSinks }: StatusView): Part[] {
  return (auditSinks ?? []).map(({ name, backlog, failure, sentSeq }) => ({
    name: `Audit to ${name}`,
    tone: failure ? ("warn" as const) : ("good" as const),
    word: failure
      ? `failing for ${duration(nowMs.value - failure.sinceMs)}`
      : backlog
        ? `${number(backlog)} behind`
        : "sent",
    why: failure
      ? `${failure.problem}. It is tried again; ${backlog === null ? "entries" : counted(backlog, "entry", "entries")} wait, none is lost, and no deploy waits for it.`
      : `Audit entries are sent to ${name}; the last that it took in is ${sentSeq === null ? "not known yet" : number(sentSeq)}.`,
  }));
}

function skewParts(): Part[] {
  const skew = skewMs.value;
  if (skew === null) return [];
  return [
    {
      name: "Clock",
      tone: "warn",
      word: `${duration(Math.abs(skew))} ${skew > 0 ? "ahead" : "behind"}`,
      why: "The clock of this machine differs from the server's. Ages and deadlines here are reckoned by the server's clock, so they are right.",
    },
  ];
}
