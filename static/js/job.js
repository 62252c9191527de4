// Live jobs: one socket for all of them and one per job the page watches. Moves bars and words at once, and asks htmx
// to fetch richer partials again (job:event, job:done, jobs:changed). Knows nothing of what a job does.

import ReconnectingWebSocket from "../vendor/reconnecting-websocket/reconnecting-websocket.mjs";
const { lost, restored, duration } = window.isengard;
const base = document.body.dataset.jobsSocket;
const sockets = new Map(), states = new Map();
const TERMINAL = new Set(["completed", "failed", "cancelled"]);
const WORDS = { queued: "Queued", running: "Running", completed: "Completed", failed: "Failed", cancelled: "Cancelled" };
const QUIET_MS = 2000, NOT_FOUND = 4404;
let listed = false;

// Every socket waits a random time of its own, so that a restarted studio is not asked by every open tab at once.
function connect(path) {
  const waits = { minReconnectionDelay: 500 + Math.random() * 2000, maxReconnectionDelay: 30000, reconnectionDelayGrowFactor: 2, connectionTimeout: 15000 };
  const socket = new ReconnectingWebSocket(location.origin.replace(/^http/, "ws") + path, [], waits), entry = { seq: 0, socket };
  sockets.set(path, entry);
  socket.onopen = () => {
    restored(path);
    // A page that has just been rendered missed nothing; after a break it asks for what came meanwhile.
    if (entry.seq) socket.send(JSON.stringify({ after: entry.seq }));
  };
  socket.onmessage = ({ data }) => receive(path, entry, JSON.parse(data));
  socket.onclose = ({ code }) => { if (code === NOT_FOUND) socket.close(); else if (socket.retryCount > 0 && sockets.has(path)) lost(path); };
}
function receive(path, entry, message) {
  restored(path);
  if (message.type === "jobs") { takeAll(message.jobs); return; }
  // seq counts per job, so only a socket of one job can ask for what came after it.
  if (path !== base) entry.seq = Math.max(entry.seq, message.seq ?? 0);
  take(message, path !== base && !states.has(message.job));
}

// The list of active jobs: one that we thought active and that is not in it has ended while we were not told.
function takeAll(jobs) {
  const active = new Set(jobs.map(({ job }) => job));
  const ended = [...states.keys()].filter((job) => !TERMINAL.has(states.get(job)) && !active.has(job));
  for (const job of ended) { states.delete(job); nudge({ job }, true); }
  for (const message of jobs) take(message, !listed);
  if (ended.length || (!listed && jobs.some(({ job }) => !document.querySelector(`[data-job="${job}"], [data-job-id="${job}"]`)))) tellLists(); // or begun while the page was on its way
  listed = true;
}
function take(message, quiet) {
  const { job, state } = message, before = states.get(job), changed = state !== undefined && before !== state;
  if (state) states.set(job, state);
  if (state) for (const element of watching(job)) show(element, message);
  nudge(message, before && changed);
  if (changed && !quiet) tellLists();
}
const watching = (job) => document.querySelectorAll(`[data-job="${CSS.escape(job)}"]`);
const tellLists = () => { for (const name of ["status:refresh", "jobs:changed"]) htmx.trigger(document.body, name); };
function texts({ step, total, percent, stage, message, state, loss, eta, speed }) {
  return {
    step, total, stage, message: TERMINAL.has(state) ? "" : message || stage,
    steps: total ? `${step} of ${total}` : "",
    percent: `${Math.floor(percent)}%`,
    eta: TERMINAL.has(state) || eta === null ? "–" : eta !== undefined ? duration(eta) : undefined,
    left: TERMINAL.has(state) || eta === null ? "" : eta !== undefined ? `${duration(eta)} left` : undefined,
    loss: Number.isFinite(loss) ? loss.toFixed(4) : undefined,
    speed: Number.isFinite(speed) ? `${speed.toFixed(speed < 10 ? 2 : 1)} it/s` : undefined,
    state: WORDS[state],
  };
}
// Numbers that count something else than the element is about (photos, not steps) are not shown as its progress.
function show(element, told) {
  const counted = !element.dataset.jobTotal || Number(element.dataset.jobTotal) === told.total || TERMINAL.has(told.state);
  const message = counted ? told : { ...told, step: 0, total: 0, eta: null, speed: null }, words = texts(message), { state } = message;
  for (const part of element.querySelectorAll("[data-job-text]")) part.textContent = words[part.dataset.jobText] ?? part.textContent;
  if (state) element.dataset.jobState = state;
  for (const badge of state ? element.querySelectorAll("[data-job-badge]") : []) Object.assign(badge, { className: `badge badge-${state}`, textContent: words.state });
  const part = message.total || TERMINAL.has(state) ? message.percent / 100 : null;
  for (const bar of element.querySelectorAll("[data-job-bar]")) {
    if (part === null) bar.removeAttribute("value");
    else bar.value = part * bar.max;
  }
  for (const ring of element.querySelectorAll("[data-job-ring]")) ring.setAttribute("stroke-dasharray", `${100 * (part ?? 0)} 100`);
}

// At most one fetch every two seconds per job, but the last nudge always counts and a new state never waits.
const nudged = new Map();
function nudge(message, now) {
  const waiting = nudged.get(message.job) ?? { at: 0 };
  nudged.set(message.job, waiting);
  clearTimeout(waiting.timer);
  const fire = () => {
    waiting.at = Date.now();
    for (const element of watching(message.job)) {
      htmx.trigger(element, "job:event"); // without the message: htmx logs whatever carries an `error`
      if (TERMINAL.has(message.state)) htmx.trigger(element, "job:done");
    }
  };
  waiting.timer = setTimeout(fire, now ? 0 : Math.max(0, waiting.at + QUIET_MS - Date.now()));
}
function sync() {
  const watched = [...document.querySelectorAll("[data-job-live]")].map((element) => `${base}${element.dataset.jobLive}/`);
  const wanted = new Set([base, ...watched]);
  for (const path of wanted) if (!sockets.has(path)) connect(path);
  for (const [path, entry] of sockets) {
    if (wanted.has(path)) continue;
    sockets.delete(path);
    entry.socket.close();
    restored(path);
  }
}
document.addEventListener("ui:reconnect", () => {
  for (const { socket } of sockets.values()) if (socket.readyState !== WebSocket.OPEN) socket.reconnect();
});
htmx.onLoad(sync);
