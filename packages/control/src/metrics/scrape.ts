import { LATENCY_BOUNDS_S, type Latencies } from "@holdover/core";
import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** A metric of a scrape that has series by label. */
export interface Series<Label extends string> {
  add(labels: Readonly<Record<Label, string>>, value: number): void;
}

/**
 * The metrics of one scrape alone: series of what is gone need not be removed, and scrapes at the same time do not mix.
 * What is null is not known, and has no series.
 */
export class Scrape {
  readonly #registry = new Registry();

  gauge(name: string, help: string, value: number | null): void {
    if (value !== null) new Gauge({ name, help, registers: [this.#registry] }).set(value);
  }

  counter(name: string, help: string, value: number | null): void {
    if (value !== null) new Counter({ name, help, registers: [this.#registry] }).inc(value);
  }

  gauges<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Series<Label> {
    const gauge = new Gauge({ name, help, labelNames, registers: [this.#registry] });
    return { add: (labels, value) => gauge.set(labels, value) };
  }

  counters<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Series<Label> {
    const counter = new Counter({ name, help, labelNames, registers: [this.#registry] });
    return { add: (labels, value) => counter.inc(labels, value) };
  }

  /** Latencies that were counted elsewhere, each with the labels of its series. */
  latencies(
    name: string,
    help: string,
    counted: readonly (readonly [Readonly<Record<string, string>>, Latencies])[],
  ): void {
    const labelNames = Object.keys(counted[0]?.[0] ?? {});
    const histogram = new Histogram({ name, help, labelNames, registers: [this.#registry] });
    const values = counted.flatMap(([labels, latencies]) => bucketsOf(name, labels, latencies));
    // What prom-client asks a histogram for when it writes it out; it has no way to be given counts.
    Object.assign(histogram, { getForPromString: async () => ({ name, help, type: "histogram", values }) });
  }

  /** All of them in the Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

function bucketsOf(name: string, labels: Readonly<Record<string, string>>, { counts, sumS }: Latencies) {
  let upTo = 0;
  const buckets = counts.map((count, bucket) => {
    upTo += count;
    return {
      metricName: `${name}_bucket`,
      labels: { ...labels, le: LATENCY_BOUNDS_S[bucket] ?? "+Inf" },
      value: upTo,
    };
  });
  const sum = { metricName: `${name}_sum`, labels, value: sumS };
  return [...buckets, sum, { metricName: `${name}_count`, labels, value: upTo }];
}
