import type { JSX } from "preact";
import { counted } from "../words/figures.ts";
import { deadlinePath, GLYPHS, hardStopPath } from "./glyphs.ts";
import type { LanesLayout } from "./lane-layout.ts";
import type { EventKind } from "./lane-story.ts";

const EVENTS: readonly (readonly [EventKind, string])[] = [
  ["cutover", "takes over"],
  ["rollback", "rollback"],
  ["ramping", "ramp"],
  ["starting", "starts"],
  ["expiring", "expires"],
  ["retired", "retires"],
  ["failed", "fails"],
];

/** What the shapes mean, and how thick a number of sessions is drawn. Of that which is shown, and no more. */
export function LaneLegend({ layout, id }: { readonly layout: LanesLayout; readonly id: string }) {
  const { lanes, marks, scale, plot, nowX } = layout;
  const kinds = new Set(marks.map(({ event }) => event.kind));
  const aheads = lanes.map(({ ahead }) => ahead);
  const ends = new Set(
    aheads
      .flatMap((ahead) =>
        ahead.kind === "fan" || ahead.kind === "unknown" ? ahead.ends.filter(({ x }) => x <= plot.right) : [],
      )
      .map(({ kind }) => kind),
  );
  const { sessions, px } = scale.bar;
  return (
    <figcaption class="lanes-legend">
      <Item text={counted(sessions, "session")}>
        <path class="bar" d={`M-4 ${-px / 2}H4M0 ${-px / 2}V${px / 2}M-4 ${px / 2}H4`} />
      </Item>
      <Item text="takes new sessions">
        <rect class="solid" x="-8" y="-5" width="16" height="10" />
      </Item>
      <Item text="finishes its sessions">
        <rect class="tinted" x="-7.5" y="-4.5" width="15" height="9" />
      </Item>
      {lanes.some(({ band }) => band.gaps.some(({ fromX }) => fromX < nowX)) && (
        <Item text="not known">
          <rect x="-8" y="-6" width="16" height="12" fill={`url(#${id}-unknown)`} />
        </Item>
      )}
      {EVENTS.map(
        ([kind, text]) =>
          kinds.has(kind) && (
            <Item key={kind} text={text} kind={kind}>
              <path class="glyph" d={GLYPHS[kind]} />
            </Item>
          ),
      )}
      {aheads.some(({ kind }) => kind === "fan") && (
        <Item text="will have retired: median, 80% interval">
          <g class="retires">
            <path d="M-9-4V4M-9 0H9M9-4V4" />
            <circle r="3.5" />
          </g>
        </Item>
      )}
      {ends.has("deadline") && (
        <Item text="deadline">
          <path class="deadline" d={deadlinePath(-3, 7)} />
        </Item>
      )}
      {ends.has("hard-stop") && (
        <Item text="hard stop">
          <path class="hard-stop" d={hardStopPath(-2, 7)} />
        </Item>
      )}
    </figcaption>
  );
}

function Item({ text, kind, children }: { text: string; kind?: EventKind; children: JSX.Element }) {
  return (
    <span class={kind ? `event ${kind}` : undefined}>
      <svg width="22" height="22" viewBox="-11 -11 22 22" aria-hidden="true">
        {children}
      </svg>
      {text}
    </span>
  );
}
