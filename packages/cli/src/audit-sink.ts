import { fileSink, webhookSink } from "@holdover/adapters/sinks";
import { HoldoverError, type AuditSink, type AuditSinkSetting } from "@holdover/core";

/**
 * A sink as holdover.yaml names it.
 * @param env where secrets are
 * @throws HoldoverError CONFIG_INVALID where the secret is not there
 */
export function openAuditSink(setting: AuditSinkSetting, env: NodeJS.ProcessEnv): AuditSink {
  if ("file" in setting) return fileSink(setting.file);
  if ("stdout" in setting) return STDOUT;
  const secret = env[setting.secretEnv];
  if (secret) return webhookSink({ url: setting.webhook, secret });
  throw new HoldoverError("CONFIG_INVALID", {
    where: "audit.sinks",
    problem: `the environment variable ${setting.secretEnv} is not set, and \`secretEnv\` names it`,
    remedy: `Start Holdover with the secret of the webhook in ${setting.secretEnv}.`,
  });
}

/** Standard output of the control process is its log, so the host, its parent, is asked to print. */
const STDOUT: AuditSink = {
  name: "stdout",
  deliver: (entries, givenUp) =>
    new Promise<void>((resolve, reject) => {
      const settle = (problem?: Error): void => {
        process.off("message", onMessage);
        if (problem === undefined) resolve();
        else reject(problem);
      };
      const onMessage = (message: unknown): void => {
        if (message === "printed") settle();
      };
      process.on("message", onMessage);
      void givenUp.then(() => settle(new Error("the host did not print it")));
      const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
      if (!process.connected || !process.send) settle(new Error("the host is gone"));
      else process.send({ type: "print", text }, (error: Error | null) => (error ? settle(error) : undefined));
    }),
};
