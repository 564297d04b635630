import type { ForecastView, ServiceView } from "@holdover/control/api";
import { useSignal } from "@preact/signals";
import { LANE_RANGES, Lanes, type LaneRangeMs } from "../charts/lanes.tsx";
import { api } from "../data/connection.ts";
import { usePolled } from "../data/poll.ts";
import { nowMs, serverClock } from "../data/store.ts";
import { Failure } from "../parts/callout.tsx";

const TIMELINE_EVERY_MS = 5000;
const FORECASTS_EVERY_MS = 15_000;
/** Forecasts that are asked for at once: of the newest retained releases. */
const FORECASTS_MOST = 8;

/** The shortest range that goes back to where the oldest release that still lives began, an hour at the most. */
function firstRange({ releases }: ServiceView): LaneRangeMs {
  const [short, hour] = LANE_RANGES;
  const began = releases.filter(({ instances }) => instances.length > 0).map(({ createdAtMs }) => createdAtMs);
  return serverClock.now() - Math.min(...began) < short.ms ? short.ms : hour.ms;
}

/** The live picture of a service, and what is ahead of its retained releases. */
export function Picture({ service }: { readonly service: ServiceView }) {
  const { name } = service;
  const range = useSignal<LaneRangeMs>(firstRange(service));
  const timeline = usePolled(`${name} ${range.value}`, TIMELINE_EVERY_MS, 0, (signal) =>
    api.timeline(name, serverClock.now() - range.value, signal),
  );
  const leaving = service.releases
    .filter(({ state }) => state === "retained" || state === "expiring")
    .slice(-FORECASTS_MOST)
    .map(({ id }) => id);
  const forecasts = usePolled<ForecastView[]>(
    `${name} ${JSON.stringify(leaving)}`,
    FORECASTS_EVERY_MS,
    0,
    async (signal) => {
      // One that retired meanwhile, or that nobody can tell of, leaves the others as they are.
      const asked = await Promise.allSettled(leaving.map((release) => api.forecast(name, release, signal)));
      return asked.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    },
  );
  return (
    <div class="live-only picture">
      {timeline.failure.value && <Failure failure={timeline.failure.value} />}
      <Lanes
        timeline={timeline.value.value ?? undefined}
        service={service}
        forecasts={forecasts.value.value ?? []}
        nowMs={nowMs.value}
        rangeMs={range.value}
        onRange={(rangeMs) => (range.value = rangeMs)}
      />
    </div>
  );
}
