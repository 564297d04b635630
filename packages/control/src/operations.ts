import type {
  EndedSession,
  KeptSamples,
  OpenedSession,
  SessionList,
  SessionMoved,
  SessionQuery,
  SessionRequest,
} from "@holdover/core";
import type {
  DeployPlanView,
  ForecastView,
  PreparedView,
  PrepareRequest,
  RestartPlanView,
  RestartRequest,
} from "./api/forecast-views.ts";
import type { PreviewRequest, PreviewView } from "./api/preview-views.ts";
import type { SessionStoryView } from "./api/session-views.ts";
import type { AgesView, LengthsDetailView, TimelineQuery, TimelineView } from "./api/timeline-views.ts";
import type {
  CompatibilityView,
  DeployRequest,
  InstanceView,
  ReleaseView,
  RollbackRequest,
  StatusView,
} from "./api/views.ts";

/**
 * All that the API can ask of control. Each change resolves when it is stored with its audit entries and, where it
 * changes the table, when the table is in force. All throw a HoldoverError of the error table; each change may throw
 * STORE_FAILED, LINK_DOWN, HOST_CLOSING and CONTROL_BUSY, after which nothing has changed, and NOT_IN_FORCE, after which
 * it is stored and comes into force when the host is back.
 */
export interface Operations {
  status(): StatusView;

  /** @throws HoldoverError SERVICE_UNKNOWN, RELEASE_UNKNOWN */
  release(service: string, release: string): ReleaseView;

  /**
   * Takes a release up: stored as `starting`; what follows is observed. Creates the service where its definition comes along.
   * @throws HoldoverError SERVICE_UNKNOWN, CONFIG_INVALID, RELEASE_EXISTS, DEPLOY_IN_PROGRESS, DIRECTORY_MISSING, COMMAND_MISSING
   */
  deploy(service: string, request: DeployRequest, actor: string): Promise<ReleaseView>;

  /**
   * Tries what sessions keep on two releases that both run. Changes nothing.
   * @throws HoldoverError SERVICE_UNKNOWN, RELEASE_UNKNOWN, RELEASE_COLD, FORMAT_TRIAL_FAILED, LINK_DOWN, STORE_FAILED
   */
  compatibility(service: string, from: string, to: string): Promise<CompatibilityView>;

  /**
   * Samples of what sessions keep, redacted by the application, for a file.
   * @throws HoldoverError SERVICE_UNKNOWN, FORMAT_TRIAL_FAILED, LINK_DOWN, STORE_FAILED
   */
  samples(service: string): Promise<KeptSamples>;

  /** @throws HoldoverError RELEASE_TRANSITION, RELEASE_COLD */
  promote(service: string, release: string, actor: string): Promise<ReleaseView>;

  /** @throws HoldoverError RELEASE_TRANSITION, RELEASE_COLD, NO_CURRENT_RELEASE */
  ramp(service: string, release: string, percent: number, actor: string): Promise<ReleaseView>;

  /** Returns the release that is current now. @throws HoldoverError NO_PREVIOUS_RELEASE, RELEASE_COLD */
  rollback(service: string, request: RollbackRequest, actor: string): Promise<ReleaseView>;

  /** @throws HoldoverError RELEASE_IS_CURRENT, RELEASE_TRANSITION */
  retire(service: string, release: string, now: boolean, actor: string): Promise<ReleaseView>;

  /** What is left of a release over time. @throws HoldoverError SERVICE_UNKNOWN, RELEASE_UNKNOWN, LINK_DOWN */
  forecast(service: string, release: string): Promise<ForecastView>;

  /** Live sessions over the last minutes and hours. @throws HoldoverError SERVICE_UNKNOWN, REQUEST_INVALID, STORE_FAILED */
  timeline(service: string, query: TimelineQuery): Promise<TimelineView>;

  /** How long sessions last. @throws HoldoverError SERVICE_UNKNOWN, LINK_DOWN */
  lengths(service: string): Promise<LengthsDetailView>;

  /** How old the open sessions are. @throws HoldoverError SERVICE_UNKNOWN, LINK_DOWN */
  ages(service: string): Promise<AgesView>;

  /** What a deploy would mean. @throws HoldoverError SERVICE_UNKNOWN, NO_CURRENT_RELEASE, LINK_DOWN */
  deployPlan(service: string): Promise<DeployPlanView>;

  /** Shrinks the linger of the current release towards a cutover. @throws HoldoverError REQUEST_INVALID where nothing shrinks */
  prepare(service: string, request: PrepareRequest, actor: string): Promise<PreparedView>;

  /** Gives the current release its normal linger again. */
  unprepare(service: string, actor: string): Promise<ReleaseView>;

  /** What a rolling restart of the current release would do. @throws HoldoverError RESTART_INFEASIBLE, LINK_DOWN */
  restartPlan(service: string, settings: RestartRequest): Promise<RestartPlanView>;

  /** Replaces the instances of the current release, batch by batch. @throws HoldoverError RESTART_INFEASIBLE, LINK_DOWN */
  restart(service: string, settings: RestartRequest, actor: string): Promise<ReleaseView>;

  /** Leaves the instances that are not replaced yet as they are. */
  stopRestart(service: string, actor: string): Promise<ReleaseView>;

  /** What a change by word would do, or why it would be refused; changes nothing. @throws HoldoverError SERVICE_UNKNOWN */
  preview(service: string, request: PreviewRequest): Promise<PreviewView>;

  /**
   * Asks the connections of one session to come back, so that it is placed anew; a job is asked to finish.
   * @throws HoldoverError SERVICE_UNKNOWN, SESSION_NOT_LIVE, NO_INSTANCE where nothing would take it
   */
  move(service: string, key: string, actor: string): Promise<SessionMoved>;

  /** Alive ones first, then the last ended ones. @throws HoldoverError LINK_DOWN */
  instances(): InstanceView[];

  /** @throws HoldoverError SERVICE_UNKNOWN, CONTROL_BUSY where many search at once, LINK_DOWN */
  sessions(query: SessionQuery): Promise<SessionList>;

  /** All that is known of a session key. @throws HoldoverError SERVICE_UNKNOWN, SESSION_UNKNOWN, LINK_DOWN */
  session(service: string, key: string): Promise<SessionStoryView>;

  /**
   * Opens a session by word, as a job is; it is running on a worker when this resolves.
   * @throws HoldoverError SERVICE_UNKNOWN, REQUEST_INVALID for a label that the service does not list, WORKER_NONE,
   * NO_INSTANCE, SESSION_LIMIT, STORE_FAILED, HOST_CLOSING, LINK_DOWN
   */
  open(request: SessionRequest): Promise<OpenedSession>;

  history(filter: { service?: string; release?: string }, limit: number): Promise<EndedSession[]>;

  /** The last lines that the instances of a release wrote, with the instance's id in front when there are several. */
  logs(service: string, release: string, instance: string | undefined, lines: number): Promise<string[]>;

  /** Ends Holdover: waits for live sessions up to the grace, or with `now` cuts them at once, paced. */
  shutdown(now: boolean, actor: string): Promise<void>;
}
