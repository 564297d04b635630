import type { ReleaseView } from "@holdover/control/api";
import { nowMs } from "../data/store.ts";
import { Told } from "../parts/told.tsx";
import { distance, duration, expected, fullTime, moment, number } from "../words/figures.ts";
import { MEANINGS, RULE_WORDS } from "../words/meanings.ts";

/** When a release will be over, what decides it, and whom that costs; for one that takes new sessions, what it waits for. */
export function Window({ release }: { readonly release: ReleaseView }) {
  const { retention, state } = release;
  const now = nowMs.value;
  if (!retention) return <div class="cell window">{waitsFor(release)}</div>;
  const { retires, deadlineMs, hardStopMs, wouldCut, allowedCuts, rule, why } = retention;
  return (
    <div class="cell window">
      <span class="label">{state === "expiring" ? "cut" : "retires"}</span>
      {state === "retained" && (
        <p>
          {retires ? (
            <>
              <Told why={`${MEANINGS.retires} ${fullTime(retires.medianMs)}.`} class="told strong">
                about {moment(retires.medianMs, now)}
              </Told>{" "}
              <Told why={`${MEANINGS.interval}${retires.known ? "" : ` ${MEANINGS.intervalOpen}`}`} class="told quiet">
                {moment(retires.lowMs, now)} to {retires.known ? "" : "at least "}
                {moment(retires.highMs, now)}
              </Told>
            </>
          ) : (
            <Told why="Session lengths are not known yet, so nobody can tell." class="told quiet">
              not known when
            </Told>
          )}
        </p>
      )}
      <p class="quiet">
        {deadlineMs === null ? (
          <Told why={`${MEANINGS.rule} ${why}.`}>no deadline</Told>
        ) : (
          <Told why={`${MEANINGS.deadline} Set by ${RULE_WORDS[rule] ?? rule}: ${why}. ${fullTime(deadlineMs)}.`}>
            {state === "expiring" ? "grace ends" : "window ends"} {distance(deadlineMs, now)}
          </Told>
        )}
        {hardStopMs !== null && hardStopMs !== deadlineMs && (
          <>
            {" · "}
            <Told why={`${MEANINGS.hardStop} ${fullTime(hardStopMs)}.`}>hard stop {distance(hardStopMs, now)}</Told>
          </>
        )}
        {" · "}
        <Told
          why={`${MEANINGS.wouldCut}${allowedCuts === undefined ? "" : ` The disruption budget allows ${number(allowedCuts)}.`}`}
          class={wouldCut !== null && wouldCut >= 0.05 ? "told warn" : "told"}
        >
          {wouldCut === null ? "cuts not known" : wouldCut < 0.05 ? "cuts nobody" : `would cut ${expected(wouldCut)}`}
        </Told>
      </p>
    </div>
  );
}

function waitsFor({ state, then, preparation }: ReleaseView) {
  const now = nowMs.value;
  if (preparation && preparation.untilMs > now) {
    return (
      <p class="quiet">
        <Told
          why={`${MEANINGS.linger} It shrinks to ${duration(preparation.lingerMs)} towards a cutover, so that fewer sessions linger on the old release.`}
        >
          prepared for a cutover {distance(preparation.untilMs, now)}
        </Told>
      </p>
    );
  }
  if (state !== "starting" && state !== "ready") return null;
  const words = {
    promote: "becomes current once it is ready",
    ramp: "takes a share once it is ready",
    wait: "waits for your word once it is ready",
  };
  return <p class="quiet">{state === "starting" ? words[then] : "waits for your word"}</p>;
}
