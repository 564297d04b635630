/** Variables of the host's environment that speak of the host itself and would mislead an instance. */
const OF_THE_HOST = new Set([
  // A child that finds these believes it has an IPC channel, or is a cluster worker or a test of node:test.
  "NODE_CHANNEL_FD",
  "NODE_CHANNEL_SERIALIZATION_MODE",
  "NODE_UNIQUE_ID",
  "NODE_TEST_CONTEXT",
  // The service manager's words with the host: an instance that answers in its stead confuses both.
  "NOTIFY_SOCKET",
  "LISTEN_FDS",
  "LISTEN_PID",
  "LISTEN_FDNAMES",
  "WATCHDOG_PID",
  "WATCHDOG_USEC",
  "MAINPID",
  "INVOCATION_ID",
  "JOURNAL_STREAM",
  // The shell's notes about the directory in which `holdover up` was typed.
  "INIT_CWD",
  "OLDPWD",
  "SHLVL",
  "_",
]);

/** `HOLDOVER_*` may hold an API token; `npm_*` is what `npm start` left of the package.json of the host's directory. */
const PREFIXES_OF_THE_HOST = ["HOLDOVER_", "npm_"];

/**
 * The environment of a process that Holdover starts: the host's, without what concerns the host alone, then `own`.
 *
 * It is inherited, and not a short list of names, because whoever exports DATABASE_URL and then types `holdover up`
 * expects the application to see it, as with a shell, foreman or a Procfile. Holding it back would protect nothing:
 * instances run as the host's user and could read its environment all the same.
 */
export function childEnvironment(
  host: Readonly<Record<string, string | undefined>>,
  directory: string,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(host)) {
    if (value === undefined || OF_THE_HOST.has(name)) continue;
    if (PREFIXES_OF_THE_HOST.some((prefix) => name.startsWith(prefix))) continue;
    environment[name] = value;
  }
  // A shell would have set PWD on its way into the directory; many scripts trust it over getcwd().
  return { ...environment, PWD: directory, ...own };
}
