/**
 * Every error a user can meet, in one table: the HTTP status it is answered with, the exit code the command line ends
 * with, what happened (and to what), and what to do next. `{name}` is filled in from the error's details.
 * docs/errors.md is made from this table and a test compares the two.
 *
 * Exit codes: 1 it failed, 2 wrong usage or configuration, 3 Holdover is not reachable, 4 refused in the present state.
 */
export const ERRORS = {
  CONFIG_INVALID: {
    status: 400,
    exit: 2,
    what: "{where}: {problem}",
    next: "{remedy}",
  },
  CONFIG_MISSING: {
    status: 400,
    exit: 2,
    what: "There is no {file} in this directory.",
    next: "Write one with `holdover init`, or name another with --config FILE.",
  },
  CONFIG_EXISTS: {
    status: 409,
    exit: 4,
    what: "{file} is there already.",
    next: "Edit it, or replace it with --force.",
  },
  USAGE_INVALID: {
    status: 400,
    exit: 2,
    what: "{problem}",
    next: "{remedy}",
  },
  NODE_TOO_OLD: {
    status: 500,
    exit: 2,
    what: "Holdover needs Node 24 or newer; this is Node {found}.",
    next: "Start it with `npx holdover` where Node 24 is installed with the project, or put a newer `node` first on the PATH.",
  },
  NOT_CONFIRMED: {
    status: 409,
    exit: 4,
    what: "The answer was not {expected}, so nothing was changed.",
    next: "Run it again and type {expected}, or add --yes.",
  },
  REQUEST_INVALID: {
    status: 400,
    exit: 2,
    what: "{problem}",
    next: "See /openapi.json for what this call takes.",
  },
  UNAUTHORIZED: {
    status: 401,
    exit: 3,
    what: "The API was called without a valid token.",
    next: "Send `Authorization: Bearer …` with a token of `holdover token create` or the content of {tokenFile}, or use the unix socket.",
  },
  SIGN_IN_REFUSED: {
    status: 401,
    exit: 3,
    what: "This link was used already, is over 10 minutes old, or is not one of Holdover's.",
    next: "Make another with `holdover dashboard` on the machine that Holdover runs on.",
  },
  FORBIDDEN: {
    status: 403,
    exit: 4,
    what: "The token {token} has the role {role}, and this call needs {needed}.",
    next: "Call with another one: `holdover token create --role {needed} --name NAME` makes it.",
  },
  TOO_MANY_FAILURES: {
    status: 429,
    exit: 3,
    what: "Over {limit} calls without a valid token came from this address within {period}.",
    next: "Wait for {period}, and send a token that is valid; see `holdover token list`.",
  },
  TOKEN_EXISTS: {
    status: 409,
    exit: 4,
    what: "There is a token {token} already.",
    next: "Take another name, or take that one back first: `holdover token revoke {token}`.",
  },
  TOKEN_UNKNOWN: {
    status: 404,
    exit: 2,
    what: "There is no token {token}.",
    next: "List them with `holdover token list`.",
  },
  MEMBER_REJECTED: {
    status: 403,
    exit: 4,
    what: "A worker that calls itself {instance} was refused: {problem}",
    next: "It gets no session; those that run are left alone. What each reason means is in docs/membership.md.",
  },
  MEMBER_UNKNOWN: {
    status: 404,
    exit: 2,
    what: "No instance {instance} is a member, or may become one.",
    next: "List the members with `holdover membership show`.",
  },
  TABLE_REJECTED: {
    status: 409,
    exit: 1,
    what: "A routing table was refused: {problem}",
    next: "The last good one stays in force. Compare its keys and epoch with `holdover membership show`.",
  },
  SIGNING_KEYS_MOST: {
    status: 409,
    exit: 4,
    what: "There are {limit} signing keys already: those that were replaced are still being phased out.",
    next: "Nothing was changed. See `holdover membership show` for when the oldest goes, and rotate again then.",
  },
  ROUTE_UNKNOWN: {
    status: 404,
    exit: 2,
    what: "The API has nothing at {method} {path}.",
    next: "See /openapi.json for what there is.",
  },
  SERVICE_UNKNOWN: {
    status: 404,
    exit: 2,
    what: "There is no service {service}.",
    next: "Known services: {known}. A new one is added to holdover.yaml and then deployed.",
  },
  RELEASE_UNKNOWN: {
    status: 404,
    exit: 2,
    what: "Service {service} has no release {release}.",
    next: "Its releases: {known}.",
  },
  INSTANCE_UNKNOWN: {
    status: 404,
    exit: 2,
    what: "There is no instance {instance}.",
    next: "List them with `holdover instances`.",
  },
  SESSION_UNKNOWN: {
    status: 404,
    exit: 2,
    what: "Nothing is known of a session {key} of {service}.",
    next: "List what is live with `holdover sessions {service}`. Of those that are over, the last million are known.",
  },
  RELEASE_EXISTS: {
    status: 409,
    exit: 4,
    what: "Service {service} already has a release {release}; it is {state}.",
    next: "A release is immutable: deploy the new build under another id.",
  },
  RELEASE_TRANSITION: {
    status: 409,
    exit: 4,
    what: "Release {release} is {from} and cannot become {to}.",
    next: "See `holdover status` for what it is now; from {from} it can become: {allowed}.",
  },
  RELEASE_IS_CURRENT: {
    status: 409,
    exit: 4,
    what: "Release {release} is the current release of {service}.",
    next: "Deploy, promote or roll back to another release first.",
  },
  RELEASE_COLD: {
    status: 409,
    exit: 4,
    what: "Release {release} of {service} has no ready instance, so it cannot take sessions now.",
    next: "Deploy it again: `holdover deploy {service} --release {release}`.",
  },
  RELEASE_FAILED: {
    status: 409,
    exit: 1,
    what: "Release {release} of {service} failed: {problem}",
    next: "Nothing else changed. Mend it and deploy again; the whole log: `holdover logs {service} {release}`.",
  },
  RESTART_INFEASIBLE: {
    status: 409,
    exit: 4,
    what: "This restart cannot work: {problem}",
    next: "{remedy}",
  },
  NO_PREVIOUS_RELEASE: {
    status: 409,
    exit: 4,
    what: "Service {service} has no retained release to roll back to.",
    next: "A retired release comes back with `holdover deploy {service} --release ID`.",
  },
  NO_CURRENT_RELEASE: {
    status: 409,
    exit: 4,
    what: "Service {service} has no current release.",
    next: "Deploy one: `holdover deploy {service} --release ID`.",
  },
  DEPLOY_IN_PROGRESS: {
    status: 409,
    exit: 4,
    what: "Service {service} is already deploying release {release} (it is {state}).",
    next: "Wait for it, promote it, or give it up with `holdover retire {service} {release}`.",
  },
  DEPLOY_TIMEOUT: {
    status: 504,
    exit: 1,
    what: "Release {release} of {service} is still {state} after {timeout}.",
    next: "The deploy goes on: see `holdover status -w`, or give it up with `holdover retire {service} {release}`.",
  },
  DIRECTORY_MISSING: {
    status: 400,
    exit: 2,
    what: "There is no directory {dir}.",
    next: "Name the directory that holds the build: --dir DIR.",
  },
  COMMAND_MISSING: {
    status: 400,
    exit: 2,
    what: "The command {command} is neither in {dir} nor on the PATH.",
    next: "Correct `command` of service {service} in holdover.yaml, or name the right directory with --dir.",
  },
  SNAPSHOT_FAILED: {
    status: 507,
    exit: 1,
    what: "The snapshot of {dir} could not be written: {problem}",
    next: "Nothing was deployed and the unfinished copy was removed. Free disk space or correct the directory, then deploy again.",
  },
  SNAPSHOT_NOT_REMOVED: {
    status: 500,
    exit: 1,
    what: "The snapshot {dir} could not be removed: {problem}",
    next: "Nothing needs it any more: mend its permissions, or remove it by hand.",
  },
  INSTANCE_NOT_STARTED: {
    status: 500,
    exit: 1,
    what: "Instance {instance} could not be started: {problem}",
    next: "Mend what stands in the way (disk space, permissions, open files); it is tried again.",
  },
  INSTANCE_EXITED: {
    status: 500,
    exit: 1,
    what: "Instance {instance} ended by itself ({how}) before it was healthy.",
    next: "Its log: `holdover logs {service} {release}`.",
  },
  INSTANCE_UNHEALTHY: {
    status: 500,
    exit: 1,
    what: "Instance {instance} was not healthy within {timeout}: {problem}",
    next: "It has to listen on the port given in PORT and answer its health check ({check}).",
  },
  GATE_FAILED: {
    status: 500,
    exit: 1,
    what: "The gate of release {release} said no: {problem}",
    next: "Nothing else changed. Its output is in `holdover logs {service} {release}`.",
  },
  FORMAT_INCOMPATIBLE: {
    status: 409,
    exit: 1,
    what: "Release {release} cannot read what sessions keep: {problem}",
    next: "Nothing else changed. Declare the missing upgrade in defineSessionFormat, or mend the one that is named, and deploy again.",
  },
  ROLLBACK_LOSES_STATE: {
    status: 409,
    exit: 1,
    what: "A rollback from release {release} would lose what sessions keep: {problem}",
    next: "Nothing else changed. Declare the missing downgrade in defineSessionFormat, or deploy with --allow-state-loss if nobody will roll back.",
  },
  FORMAT_TRIAL_FAILED: {
    status: 503,
    exit: 1,
    what: "The session formats of release {release} could not be tried: {problem}",
    next: "Nothing else changed. Try again; if it stays so, see the logs of the release: `holdover logs {service} {release}`.",
  },
  PORT_TAKEN: {
    status: 500,
    exit: 1,
    what: "Address {address} is already in use.",
    next: "Stop what listens there, or change `{setting}` in holdover.yaml.",
  },
  LISTEN_FAILED: {
    status: 500,
    exit: 1,
    what: "Cannot listen on {address}: {problem}",
    next: "Change `{setting}` in holdover.yaml.",
  },
  ALREADY_RUNNING: {
    status: 409,
    exit: 4,
    what: "Another Holdover already runs on {stateDir}.",
    next: "Use it (`holdover status`), stop it (`holdover down`), or take another directory with `state:` in holdover.yaml.",
  },
  NOT_RUNNING: {
    status: 503,
    exit: 3,
    what: "No Holdover answers at {socket}.",
    next: "Start it with `holdover up`, or name its directory with --config.",
  },
  CONTROL_BUSY: {
    status: 503,
    exit: 3,
    what: "The control process is not ready yet: {problem}",
    next: "Sessions are served all the same. Try again in a moment.",
  },
  CONTROL_NOT_UP: {
    status: 500,
    exit: 1,
    what: "The control process did not come up: {problem}",
    next: "Its log is {file}.",
  },
  HOST_CLOSING: {
    status: 503,
    exit: 4,
    what: "Holdover is shutting down, so nothing can be changed any more.",
    next: "Start it again with `holdover up` once it has ended; a deploy that was under way goes on then.",
  },
  NOT_IN_FORCE: {
    status: 503,
    exit: 3,
    what: "The change is stored, but the host does not follow it yet: {problem}",
    next: "Do not send it again: it comes into force by itself once the host answers. See `holdover status`.",
  },
  STREAM_LIMIT: {
    status: 503,
    exit: 3,
    what: "The API already serves {limit} event streams.",
    next: "Close one that is not needed, or try again later.",
  },
  STATE_DIR_UNUSABLE: {
    status: 500,
    exit: 1,
    what: "The state directory {dir} cannot be made: {problem}",
    next: "Give this user the right to write there, or name another with `state:` in holdover.yaml.",
  },
  SHUTDOWN_TIMEOUT: {
    status: 503,
    exit: 1,
    what: "Holdover is still shutting down after {timeout}, with {left}.",
    next: "It goes on by itself. Cut what is left with `holdover down --now`.",
  },
  STORE_CORRUPT: {
    status: 500,
    exit: 1,
    what: "The database {file} cannot be read: {problem}",
    next: "Nothing was changed. Put back a copy of the file, or move it away to start empty.",
  },
  BACKUP_FAILED: {
    status: 507,
    exit: 1,
    what: "The copy in {dir} could not be written: {problem}",
    next: "Nothing else changed. Free disk space, or name a directory that Holdover's user may write and that is not there yet.",
  },
  STORE_NEWER: {
    status: 500,
    exit: 1,
    what: "The database {file} was written by a newer Holdover (format {found}; this one knows {known}).",
    next: "Run the newer Holdover, or put back a copy from before its upgrade.",
  },
  STORE_FAILED: {
    status: 503,
    exit: 1,
    what: "The database {file} refused a write: {problem}",
    next: "Free disk space or mend its permissions; what was acknowledged before is kept.",
  },
  CHECKPOINT_STALE: {
    status: 409,
    exit: 4,
    what: "Fence {fence} of session {key} of {service} is over: {problem}",
    next: "Nothing was changed. This instance does not own the session any more: stop working on it.",
  },
  CHECKPOINT_TOO_LARGE: {
    status: 413,
    exit: 1,
    what: "The checkpoint of session {key} of {service} is over its quota: {problem}",
    next: "Nothing was changed. Keep less in it; what is large belongs in a store of your own, guarded by the session's fence.",
  },
  CHECKPOINT_INVALID: {
    status: 400,
    exit: 1,
    what: "The checkpoint of session {key} of {service} cannot be taken: {problem}",
    next: "Nothing was changed. Correct what the application writes.",
  },
  CHECKPOINT_BACKLOG: {
    status: 503,
    exit: 1,
    what: "Session {key} of {service} already has {limit} writes that wait for the store.",
    next: "Wait for earlier writes before the next; if they do not resolve, the store is slow or cannot be reached.",
  },
  FORMAT_UNKNOWN: {
    status: 409,
    exit: 1,
    what: "Data of session format {format}, version {version}, cannot be read here: {problem}",
    next: "Declare the missing upgrade or downgrade in defineSessionFormat of the newer release; the data stays as it is.",
  },
  FORMAT_FAILED: {
    status: 500,
    exit: 1,
    what: "Session format {format}, version {version}, failed: {problem}",
    next: "Mend the schema, the upgrade or the downgrade that is named; the stored data stays as it is.",
  },
  KEY_UNREADABLE: {
    status: 500,
    exit: 1,
    what: "The key in {file} cannot be used: {problem}",
    next: "Put back a copy of the file. Without it a new key is made, and what the old one signed is not verified any more.",
  },
  AUDIT_BROKEN: {
    status: 500,
    exit: 1,
    what: "The audit chain is broken at entry {seq}: {problem}",
    next: "Somebody or something changed the record. Keep the file, and compare it with an older copy.",
  },
  LINK_MESSAGE_INVALID: {
    status: 500,
    exit: 1,
    what: "A link brought a message that cannot be read: {problem}",
    next: "Both of its ends must be of versions that know one another: host and control of the same, a worker's SDK not newer than its host.",
  },
  SESSION_NOT_LIVE: {
    status: 404,
    exit: 2,
    what: "No session {key} of {service} lives on an instance now.",
    next: "It has ended, or its instance has died and nobody has come back to it. List what is live with `holdover sessions {service}`.",
  },
  SESSION_NOT_HELD: {
    status: 409,
    exit: 4,
    what: "Session {key} of {service} does not live on {instance} under fence {fence}.",
    next: "It has ended, or was placed elsewhere: stop working on it.",
  },
  LINK_BUSY: {
    status: 503,
    exit: 1,
    what: "Over {limit} calls wait for their answers.",
    next: "Wait for answers before more is asked.",
  },
  LINK_DOWN: {
    status: 503,
    exit: 3,
    what: "The link to the host is down, so this cannot be done now.",
    next: "Sessions are served all the same, and the link is opened again by itself. Try again in a moment; if it stays, see the log of host.",
  },
  SESSION_KEY_INVALID: {
    status: 400,
    exit: 1,
    what: "The session key in {place} cannot be used: {problem}",
    next: "Send a key of 1 to 256 bytes without control characters.",
  },
  SESSION_LIMIT: {
    status: 503,
    exit: 1,
    what: "This router already holds {limit} sessions.",
    next: "Try again later, or raise `limits.sessions`.",
  },
  HOST_UNKNOWN: {
    status: 404,
    exit: 1,
    what: "No service answers for host {host} and path {path}.",
    next: "Check `hosts` and `path` of the services in holdover.yaml.",
  },
  REQUEST_MALFORMED: {
    status: 400,
    exit: 1,
    what: "The request was refused: {problem}",
    next: "Send a request as RFC 9110 and RFC 9112 have it.",
  },
  HEAD_TOO_LARGE: {
    status: 431,
    exit: 1,
    what: "The head of the request is over {limit} bytes.",
    next: "Send fewer or shorter header fields.",
  },
  HEAD_FIELDS_TOO_MANY: {
    status: 431,
    exit: 1,
    what: "The head of the request has over {limit} header fields.",
    next: "Send fewer header fields.",
  },
  METHOD_REFUSED: {
    status: 501,
    exit: 1,
    what: "The method {method} is not served here.",
    next: "Use another method: CONNECT is for forward proxies, and TRACE would show what other parties sent.",
  },
  HEAD_TOO_SLOW: {
    status: 408,
    exit: 1,
    what: "The head of the request was not complete within {timeout}.",
    next: "Send the request again.",
  },
  NO_INSTANCE: {
    status: 503,
    exit: 1,
    what: "Service {service} has no instance that takes this session now.",
    next: "Try again in a second.",
  },
  WORKER_NONE: {
    status: 503,
    exit: 1,
    what: "No worker of service {service} took the session {key}: {reasons}.",
    next: "Nothing was opened. Where workers are full, try again in a second, start more instances or raise the limits of the pool; an agent that no pool has, and a service that has no pool, take nothing.",
  },
  INSTANCE_UNREACHABLE: {
    status: 502,
    exit: 1,
    what: "The instance of this session did not answer: {problem}",
    next: "Connect again; if the instance is gone, the session is placed anew.",
  },
  INTERNAL: {
    status: 500,
    exit: 1,
    what: "Something went wrong inside Holdover: {problem}",
    next: "This is a defect. Please report it with the log around this moment.",
  },
} as const satisfies Record<string, { status: number; exit: number; what: string; next: string }>;

export type ErrorCode = keyof typeof ERRORS;

export type ErrorDetails = Readonly<Record<string, string | number>>;

/** What an error looks like on the wire: the body of an API or router answer is `{ "error": ErrorBody }`. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly what: string;
  readonly next: string;
  readonly details: ErrorDetails;
}

/** The one error class. Its code is a row of {@link ERRORS}; `details` fill in the row's sentences. */
export class HoldoverError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    super(fill(ERRORS[code].what, details), options);
    this.name = "HoldoverError";
    this.code = code;
    this.details = details;
  }

  get next(): string {
    return fill(ERRORS[this.code].next, this.details);
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get exit(): number {
    return ERRORS[this.code].exit;
  }

  body(): ErrorBody {
    return { code: this.code, what: this.message, next: this.next, details: this.details };
  }
}

/** Normalises whatever was thrown, once, at the edge where it is reported. The original stays as `cause`. */
export function asHoldoverError(thrown: unknown): HoldoverError {
  if (thrown instanceof HoldoverError) return thrown;
  return new HoldoverError("INTERNAL", { problem: problemOf(thrown) }, { cause: thrown });
}

/** The words of whatever was thrown, for a `{problem}`. */
export function problemOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * Reads an {@link ErrorBody} that came over the wire back into an error. A code that this version does not know (the
 * other end is newer) becomes INTERNAL with what was said.
 */
export function errorFromBody(body: ErrorBody): HoldoverError {
  if (Object.hasOwn(ERRORS, body.code)) return new HoldoverError(body.code, body.details);
  return new HoldoverError("INTERNAL", { ...body.details, problem: body.what });
}

function fill(template: string, details: ErrorDetails): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const value = details[name];
    return value === undefined ? whole : String(value);
  });
}
