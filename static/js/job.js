// Live jobs: one socket for all of them and one per job the page watches. Moves bars and words at once, and asks htmx
// to fetch richer partials again (job:event, job:done, jobs:changed). Knows nothing of what a job does.

const { lost, restored, duration } = window.isengard;
const base = document.body.dataset.jobsSocket;
const sockets = new Map();
const states = new Map();
const TERMINAL = new Set(["completed", "failed", "cancelled"]);
const WORDS = { queued: "Queued", running: "Running", completed: "Completed", failed: "Failed", cancelled: "Cancelled" };
const QUIET_MS = 2000;

function connect(path) {
  const entry = sockets.get(path) ?? { seq: 0, tries: 0 };
  sockets.set(path, entry);
  clearTimeout(entry.timer);
  entry.socket = new WebSocket(path.replace(/^/, location.origin.replace(/^http/, "ws")));
  entry.socket.onopen = () => { entry.tries = 0; restored(path); entry.socket.send(JSON.stringify({ after: entry.seq })); };
  entry.socket.onmessage = ({ data }) => receive(path, entry, JSON.parse(data));
  entry.socket.onclose = () => retry(path, entry);
}

// Full jitter, so that a restarted studio is not asked by every open tab in the same instant.
function retry(path, entry) {
  if (!sockets.has(path)) return;
  if (entry.tries > 0) lost(path);
  const ceiling = Math.min(30000, 500 * 2 ** entry.tries++);
  entry.timer = setTimeout(() => connect(path), 500 + Math.random() * ceiling);
}

function receive(path, entry, message) {
  restored(path);
  if (!message.job) return;
  // seq counts per job, so only a socket of one job can ask for what came after it.
  if (path !== base && message.seq) entry.seq = Math.max(entry.seq, message.seq);
  const changed = message.state && states.get(message.job) !== message.state;
  const known = states.has(message.job);
  if (message.state) states.set(message.job, message.state);
  for (const element of document.querySelectorAll(`[data-job="${CSS.escape(message.job)}"]`)) {
    show(element, message);
    nudge(element, message, changed && known);
  }
  if (changed && known) {
    htmx.trigger(document.body, "status:refresh");
    htmx.trigger(document.body, "jobs:changed", { job: message.job, state: message.state });
  }
}

function texts({ step, total, stage, state, loss, eta, speed }) {
  return {
    step, total, stage,
    steps: total ? `${step} of ${total}` : undefined,
    percent: total ? `${Math.floor((100 * step) / total)}%` : undefined,
    left: TERMINAL.has(state) || eta === null ? "" : eta !== undefined ? `${duration(eta)} left` : undefined,
    loss: Number.isFinite(loss) ? loss.toFixed(4) : undefined,
    speed: Number.isFinite(speed) ? `${speed.toFixed(speed < 10 ? 2 : 1)} it/s` : undefined,
    state: WORDS[state],
  };
}

function show(element, message) {
  const words = texts(message), { state } = message;
  for (const part of element.querySelectorAll("[data-job-text]")) part.textContent = words[part.dataset.jobText] ?? part.textContent;
  if (state) element.dataset.jobState = state;
  for (const badge of state ? element.querySelectorAll("[data-job-badge]") : []) {
    Object.assign(badge, { className: `badge badge-${state}`, textContent: words.state });
  }
  const part = message.state === "completed" ? 1 : message.total ? Math.min(1, message.step / message.total) : null;
  for (const bar of element.querySelectorAll("[data-job-bar]")) {
    if (part === null) bar.removeAttribute("value");
    else bar.value = part * bar.max;
  }
  for (const ring of element.querySelectorAll("[data-job-ring]")) ring.setAttribute("stroke-dasharray", `${100 * (part ?? 0)} 100`);
}

// At most one fetch every two seconds per element, but the last nudge always counts and a new state never waits.
const nudged = new WeakMap();
function nudge(element, message, now) {
  const waiting = nudged.get(element) ?? { at: 0 };
  nudged.set(element, waiting);
  clearTimeout(waiting.timer);
  const fire = () => {
    waiting.at = Date.now();
    htmx.trigger(element, "job:event", message);
    if (TERMINAL.has(message.state)) htmx.trigger(element, "job:done", message);
  };
  const wait = now ? 0 : Math.max(0, waiting.at + QUIET_MS - Date.now());
  if (wait) waiting.timer = setTimeout(fire, wait);
  else fire();
}

function sync() {
  const watched = [...document.querySelectorAll("[data-job-live]")].map((element) => `${base}${element.dataset.jobLive}/`);
  const wanted = new Set([base, ...watched]);
  for (const path of wanted) if (!sockets.has(path)) connect(path);
  for (const [path, entry] of sockets) {
    if (wanted.has(path)) continue;
    sockets.delete(path);
    clearTimeout(entry.timer);
    entry.socket.close();
    restored(path);
  }
}

document.addEventListener("ui:reconnect", () => {
  for (const [path, { socket }] of sockets) if (socket.readyState > WebSocket.OPEN) connect(path);
});
htmx.onLoad(sync);
