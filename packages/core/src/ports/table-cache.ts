import type { RoutingTable } from "../routing-table.ts";

/** A router's last table, so that it serves after its own crash although control is away (rule 8). */
export interface TableCache {
  /** MUST be durable against a crash of the process when it returns. */
  save(table: RoutingTable): void;
  /** The last saved table; undefined for none. */
  load(): RoutingTable | undefined;
}
