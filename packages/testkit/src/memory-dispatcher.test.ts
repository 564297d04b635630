import { dispatcherConformance } from "./conformance/dispatcher.ts";
import { MemoryDispatcher } from "./memory-dispatcher.ts";

dispatcherConformance("Memory", async () => {
  const dispatcher = new MemoryDispatcher();
  // What is stored takes a turn, in which the link may break.
  dispatcher.beforeConfirm = () => new Promise((resolve) => setImmediate(resolve));
  return {
    dispatcher,
    ask: (job) => dispatcher.ask(job),
    breakLink: async () => dispatcher.breakLink(),
    admit: async (admits) => dispatcher.admit(admits),
    endOf: async ({ key, fence }) =>
      dispatcher.finishedJobs.find(({ session }) => session.key === key && session.fence === fence)?.end ?? null,
    close: async () => {},
  };
});
