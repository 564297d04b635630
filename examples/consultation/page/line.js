/** After a break it is tried again after this, ms, twice as long each time, and never after more than the second. */
const FIRST_DELAY_MS = 250;
const MOST_DELAY_MS = 5_000;
/** Codes of the server that mean: do not come back. */
const OVER = new Set([4001, 4002, 4003]);

/**
 * The line to the room: comes back by itself when it breaks.
 * @param {string} room
 * @param {{ opened(): void, message(message: any): void, broken(): void, over(reason: string): void }} listener
 */
export function openLine(room, listener) {
  const url = new URL("/", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("room", room);
  let socket;
  let delay = FIRST_DELAY_MS;
  let timer;
  let isClosed = false;

  const connect = () => {
    socket = new WebSocket(url);
    socket.addEventListener("open", () => listener.opened());
    socket.addEventListener("message", ({ data }) => {
      delay = FIRST_DELAY_MS;
      listener.message(JSON.parse(data));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (isClosed) return;
      if (OVER.has(code)) return listener.over(reason);
      listener.broken();
      // Anything between half and the whole delay, so that a hundred browsers do not come back in one instant.
      timer = setTimeout(connect, delay * (0.5 + Math.random() / 2));
      delay = Math.min(MOST_DELAY_MS, delay * 2);
    });
  };
  connect();

  return {
    /** Says something, if the line is open. */
    send(message) {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
    },
    /** Hangs up. */
    close() {
      isClosed = true;
      clearTimeout(timer);
      socket.close(1000);
    },
  };
}
