const TICK_MS = 1000;

/** What this release adds to the page: for how long one has been talking, and when something was written. */
export function additions() {
  const timer = document.getElementById("timer");
  let since = null;

  const show = () => {
    timer.hidden = since === null;
    if (since === null) return;
    const seconds = Math.floor((performance.now() - since) / 1000);
    timer.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  };
  setInterval(show, TICK_MS);

  return {
    people(forMs) {
      since = forMs === null ? null : performance.now() - forMs;
      show();
    },
    line(item, { atMs }) {
      if (atMs === null) return;
      const when = document.createElement("time");
      when.dateTime = new Date(atMs).toISOString();
      when.textContent = new Date(atMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      item.append(when);
    },
  };
}
