import type { PreviewView } from "@holdover/control/api";
import { Callout } from "../parts/callout.tsx";
import { Figure } from "../parts/figure.tsx";
import { Told } from "../parts/told.tsx";
import { clockTime, counted, duration, expected, moment, number } from "../words/figures.ts";

const MOVES =
  "Live sessions that are asked to move, at the most: their clients reconnect and are placed anew. Worked out by control's planner from what is live now.";
const CUTS =
  "Live sessions that may be ended by force, at the most. Each is counted and audited. Worked out by control's planner from what is live now.";

/** What an action would do, from the planner; it goes on changing while sessions come and go. */
export function Effects({ preview }: { readonly preview: PreviewView }) {
  const { problem, effects, moves, cuts, deployPlan, restartPlan } = preview;
  return (
    <section class="effects" aria-label="What it would do">
      {problem ? (
        <Callout tone="bad" alert>
          <p>
            <strong>{problem.what}</strong>
          </p>
          <p>
            {problem.next} <code class="quiet">{problem.code}</code>
          </p>
        </Callout>
      ) : (
        <>
          <dl class="totals">
            <div>
              <dt>asked to move</dt>
              <dd class="large">
                <Figure value={moves} why={MOVES} />
              </dd>
            </div>
            <div>
              <dt>cut at the most</dt>
              <dd class={`large ${cuts === 0 ? "" : "bad"}`}>
                <Figure value={cuts} why={CUTS} />
              </dd>
            </div>
          </dl>
          <ul class="effect-list">
            {effects.map((effect) => (
              <li key={effect}>{effect}</li>
            ))}
          </ul>
        </>
      )}
      {deployPlan && <DeployPlan plan={deployPlan} />}
      {restartPlan && <RestartPlan plan={restartPlan} />}
      <p class="quiet">As of {clockTime(preview.nowMs)}; kept up to date while this is open.</p>
    </section>
  );
}

function DeployPlan({ plan }: { readonly plan: NonNullable<PreviewView["deployPlan"]> }) {
  const { oldLives, window, cutAtCeiling, allowedCuts, instanceHours, cheapest, lengths, nowMs } = plan;
  return (
    <dl class="facts">
      <dt>{plan.release} then lives</dt>
      <dd>
        {oldLives ? (
          <>
            about {duration(oldLives.medianMs)}, in 80 of 100 deploys {duration(oldLives.lowMs)} to{" "}
            {oldLives.known ? "" : "at least "}
            {duration(oldLives.highMs)}
          </>
        ) : (
          <>nobody can tell: {lengths.why}</>
        )}
      </dd>
      <dt>Its window</dt>
      <dd>{window.why}</dd>
      <dt>It would cut</dt>
      <dd>
        {cutAtCeiling === null ? "not known" : expected(cutAtCeiling)}{" "}
        <span class="quiet">of the {number(allowedCuts)} that the disruption budget allows</span>
      </dd>
      {instanceHours && (
        <>
          <dt>
            <Told why="Hours that instances of the old release run on beside those of the new one; they stop as they empty. Median of the forecast.">
              Overlap
            </Told>
          </dt>
          <dd>about {expected(instanceHours.median)} instance-hours</dd>
        </>
      )}
      {cheapest && (
        <>
          <dt>
            <Told why="Of the next 24 hours the one in which a deploy would have retired the old release soonest, by the days before.">
              Cheapest hour
            </Told>
          </dt>
          <dd>
            {moment(cheapest.startsAtMs, nowMs)}
            {cheapest.retiredAfterMs !== null && ` (over after ${duration(cheapest.retiredAfterMs)})`}
          </dd>
        </>
      )}
    </dl>
  );
}

function RestartPlan({ plan }: { readonly plan: NonNullable<PreviewView["restartPlan"]> }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="The plan of the restart">
      <table>
        <caption>
          {counted(plan.batches.length, "batch", "batches")}, about {duration(plan.expectedMs)}, {duration(plan.mostMs)}{" "}
          at the most
        </caption>
        <thead>
          <tr>
            <th scope="col">After</th>
            <th scope="col">Instances</th>
            <th scope="col" class="right">
              Asked to move
            </th>
            <th scope="col" class="right">
              Closed within
            </th>
          </tr>
        </thead>
        <tbody>
          {plan.batches.map(({ instances, startsAfterMs, expectedMoved, closingMs }) => (
            <tr key={startsAfterMs}>
              <td>{duration(startsAfterMs)}</td>
              <td>{instances.join(", ")}</td>
              <td class="right">{expectedMoved === null ? "all left" : expected(expectedMoved)}</td>
              <td class="right">{duration(closingMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
