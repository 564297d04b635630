export type { BreakerSettings, BreakerState } from "./agent-breaker.ts";
export type { Agent, Job, JobSession } from "./agent-job.ts";
export type { AgentPoolOptions } from "./agent-options.ts";
export { AgentPool } from "./agent-pool.ts";
export type { DrainPhase, RuntimeSnapshot } from "./agent-snapshot.ts";
export type { PoolAuditSink, PoolLog, PoolObserver, SessionOutcome, WatchedSession } from "./agent-watchers.ts";
export type { Channel, ChannelEnd, ChannelListener, ChannelSocket } from "./channel.ts";
export { openChannels, type Channels, type ChannelsOptions } from "./channels.ts";
export { ChannelError, type ChannelErrorCode, type ChannelSnapshot } from "./channel-state.ts";
export type {
  Dispatcher,
  FencedSession,
  JobDesk,
  JobEnd,
  JobEnding,
  JobOffer,
  JobPlace,
  OfferAnswer,
  Refusal,
} from "@holdover/core";
export { sessionOf, type RequestHeaders, type Session } from "./session.ts";
export type { EphemeralStats } from "./state-ephemeral.ts";
export { memoryStateLink, type StateLink } from "./state-link.ts";
export { States, type StatesOptions } from "./states.ts";
export type { SessionState, StateName, StateValue } from "./state.ts";
export type { Holdover } from "./holdover.ts";
export { joinHoldover } from "./join.ts";
export type { JoinOptions } from "./join-options.ts";
export type { Ending, JoinedSession } from "./joined-session.ts";
export type { Admission, ReleaseView } from "./release-watch.ts";
export { defineSessionFormat, type SessionFormat, type SessionFormatDefinition } from "@holdover/core";
export { brokerDispatcher, type BrokerDispatcher } from "./broker-dispatcher.ts";
