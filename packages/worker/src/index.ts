export type { Channel, ChannelEnd, ChannelListener, ChannelSocket } from "./channel.ts";
export { openChannels, type Channels, type ChannelsOptions } from "./channels.ts";
export { ChannelError, type ChannelErrorCode, type ChannelSnapshot } from "./channel-state.ts";
export { sessionOf, type RequestHeaders, type Session } from "./session.ts";
