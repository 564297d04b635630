import type { Cluster } from "@holdover/testkit/cluster";

/** What somebody does to a service while people talk. Each step resolves when it is done. */
export interface Operator {
  deploy(release: string, directory: string): Promise<void>;
  rollback(): Promise<void>;
  /** Ends what is left on a release. */
  expire(release: string): Promise<void>;
}

/** Whoever types commands. */
export function commandLine(cluster: Cluster, service: string): Operator {
  return {
    deploy: async (release, directory) => {
      await cluster.succeed("deploy", service, "--release", release, "--dir", directory);
    },
    rollback: async () => {
      await cluster.succeed("rollback", service);
    },
    expire: async (release) => {
      await cluster.succeed("retire", service, release);
    },
  };
}
