// The page's shell: theme, sidebar, dialogs, toasts, failures with their correlation id, lost connection, shortcuts.
// Knows no page. Other files use window.isengard, and a page's markup uses the data-attributes of docs/look.md.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const root = document.documentElement;
const remember = (name, value) => { document.cookie = `${name}=${value};path=/;max-age=31536000;samesite=lax`; };
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
const iconUrl = (name) => `${document.body.dataset.icons}#${name}`;

// Ids and requests
const base36 = (count) => [...crypto.getRandomValues(new Uint8Array(count))].map((n) => (n % 36).toString(36)).join("");
const correlationId = () => `fe-${Date.now().toString(36)}-${base36(9)}`;
const STATUS_SENTENCES = {
  0: "The studio did not answer. Check that it still runs, then try again.",
  403: "The studio refused this. Load the page again and retry.",
  404: "This is no longer there. Load the page again.",
  413: "This file is larger than the studio takes.",
  429: "Too many requests at once. Wait a few seconds, then try again.",
};
function failureSentence(status, type, text) {
  if (type.includes("json")) {
    const { detail } = JSON.parse(text || "{}");
    if (typeof detail === "string") return detail;
    if (Array.isArray(detail)) return detail.map((part) => `${part.loc?.at(-1) ?? "value"}: ${part.msg}`).join(" ");
    if (detail?.error) return detail.error;
  }
  if (type.startsWith("text/plain") && text && text.length < 400) return text;
  return STATUS_SENTENCES[status] ?? `The studio had an error (${status}). The log says why.`;
}

// Toasts
const LEVEL_ICONS = { success: "circle-check", warning: "triangle-alert", error: "circle-alert", info: "info" };
const stack = one(".toasts");
function expire(element, seconds) {
  let timer = setTimeout(() => element.remove(), seconds * 1000);
  element.addEventListener("mouseenter", () => clearTimeout(timer));
  element.addEventListener("mouseleave", () => { timer = setTimeout(() => element.remove(), 3000); });
}
const button = (label, onclick) => make("button", { type: "button", className: "btn btn-sm", textContent: label, onclick });
const showLog = (id) => make("a", { href: `${document.body.dataset.logsUrl}?correlation=${encodeURIComponent(id)}`, className: "btn btn-sm btn-ghost", textContent: "Show log" });

/** {message, level, undo: URL to POST, correlation, seconds}. Stays a minute with undo, 10 s for errors, else 5 s. */
function toast({ message, level = "info", undo = "", correlation = "", seconds }) {
  const element = one("#toast-template").content.firstElementChild.cloneNode(true);
  element.classList.add(`toast-${level}`);
  if (level === "error") element.setAttribute("role", "alert");
  one("use", element).setAttribute("href", iconUrl(LEVEL_ICONS[level] ?? "info"));
  one("span", element).textContent = message;
  const actions = one(".toast-actions", element);
  if (undo) element.id = undo, actions.append(button("Undo", () => htmx.ajax("POST", undo, { source: document.body, swap: "none" }).finally(() => element.remove())));
  if (correlation) {
    const id = make("span", { className: "correlation", textContent: correlation });
    actions.append(button("Copy id", () => copy(correlation)), showLog(correlation), id);
  }
  if (!actions.children.length) actions.remove();
  one(".btn-close-toast", element).addEventListener("click", () => element.remove());
  stack.append(element);
  raise();
  expire(element, seconds ?? (undo ? 60 : level === "error" ? 10 : 5));
}

// A popover lies in the top layer, above an open dialog; and inside of that, since all else is inert while it is open.
function raise() {
  (all("dialog[open]").at(-1) ?? document.body).append(stack);
  Object.assign(stack, { popover: "manual" }).showPopover();
}
document.addEventListener("close", () => stack.children.length && raise(), true);
// What opened a dialog may have been fetched again meanwhile; the focus goes back there all the same.
document.addEventListener("close", ({ target }) => target.contains(document.activeElement) && one(`[data-dialog-open="#${target.id}"]`)?.focus(), true);
const contentType = (xhr) => xhr.getResponseHeader("Content-Type") ?? "";
let lastCorrelation = "";
document.addEventListener("htmx:configRequest", ({ detail }) => { detail.headers["X-Correlation-ID"] = correlationId(); });
document.addEventListener("htmx:beforeOnLoad", ({ detail: { xhr } }) => { lastCorrelation = xhr.getResponseHeader("X-Correlation-ID") ?? ""; });
document.addEventListener("toast", ({ detail }) => {
  for (const part of Array.isArray(detail.value) ? detail.value : [detail]) {
    toast({ correlation: part.level === "error" ? lastCorrelation : "", ...part });
  }
});
document.addEventListener("htmx:responseError", ({ detail: { xhr, elt } }) => {
  const told = (xhr.getResponseHeader("HX-Trigger") ?? "").includes('"toast"');
  if (told || elt.closest("[data-quiet]")) return;
  const message = failureSentence(xhr.status, contentType(xhr), xhr.responseText);
  toast({ message, level: "error", correlation: lastCorrelation });
});
// A 422 with a form in it is shown in place; with JSON in it there is nothing to swap. A list is not refreshed under a dragging hand.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const dragging = one(".sortable-chosen") && detail.requestConfig.verb === "get";
  if (dragging || (detail.xhr.status >= 400 && contentType(detail.xhr).includes("json"))) detail.shouldSwap = false;
});

// Lost connection: said once, with the time of what is shown
const lostBy = new Set(), pill = one(".connection");
let seenAt = new Date();
function lost(channel) {
  lostBy.add(channel);
  one("span", pill).textContent = `No live connection. What you see is from ${seenAt.toLocaleTimeString()}.`;
  pill.hidden = false;
}
function restored(channel) {
  seenAt = new Date();
  lostBy.delete(channel);
  pill.hidden = lostBy.size === 0;
}
one("button", pill).addEventListener("click", () => {
  document.dispatchEvent(new Event("ui:reconnect"));
  htmx.trigger(document.body, "status:refresh");
});
document.addEventListener("htmx:sendError", ({ detail: { elt } }) => {
  lost("http");
  if (!elt.closest("[data-quiet]")) toast({ message: STATUS_SENTENCES[0], level: "error" });
});
document.addEventListener("htmx:afterOnLoad", () => restored("http"));

// Theme and sidebar
const NEXT_THEME = { dark: "light", light: "system", system: "dark" };
function change(name, value) {
  root.dataset[name] = value;
  remember(name, value);
  document.dispatchEvent(new Event("ui:theme"));
}
async function copy(text) {
  // Outside of localhost the clipboard needs https; selecting a throw-away field works everywhere.
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else {
    const field = topmost().appendChild(make("textarea", { value: text }));
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  toast({ message: "Copied.", level: "success" });
}
function openDialog(dialog) {
  if (!dialog.open) dialog.showModal();
  dialog.dispatchEvent(new Event("ui:open"));
}
const CLICKS = {
  "[data-dialog-open]": (control) => openDialog(one(control.dataset.dialogOpen)),
  "[data-dialog-close]": (control) => control.closest("dialog").close(),
  "[data-theme-cycle]": () => change("theme", NEXT_THEME[root.dataset.theme] ?? "light"),
  "[data-sidebar-toggle]": () => change("sidebar", root.dataset.sidebar === "narrow" ? "wide" : "narrow"),
  "[data-copy]": (control) => copy(control.dataset.copy),
};
document.addEventListener("click", (event) => {
  for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  if (event.target.matches("dialog:not(.viewer)")) return event.target.close();
  // On the queue's own page its button is a link to itself, not a second copy of the list.
  if (event.metaKey || event.ctrlKey || event.target.closest("a")?.pathname === location.pathname) return;
  for (const [selector, act] of Object.entries(CLICKS)) {
    const control = event.target.closest(selector);
    if (control) { event.preventDefault(); return void act(control); }
  }
});

const typing = (element) => element.closest("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]");
const topmost = () => all("dialog[open]").at(-1) ?? one("main");
const GO = { c: 0, d: 1, t: 2, g: 4, p: 5 };
let goUntil = 0;
function shortcut(event) {
  const { key, target } = event;
  const scope = topmost();
  if ((event.metaKey || event.ctrlKey) && key === "Enter") return one(".btn-primary:not(:disabled)", target.closest("form") ?? scope);
  if (event.metaKey || event.ctrlKey || event.altKey) return null;
  if (key === "Escape") return one("details.menu[open] > summary");
  if (typing(target) || (key === " " && target.closest("a, button, input, summary"))) return null;
  if (key in GO && event.timeStamp < goUntil) return all(".sidebar a.nav-item")[GO[key]];
  goUntil = key === "g" ? event.timeStamp + 1000 : 0;
  if (key === "?") return one("[data-dialog-open='#help']");
  const wanted = `[data-key="${CSS.escape(key)}"]`;
  return one(wanted, target.closest(".tile") ?? scope) ?? one(wanted, scope);
}
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented) return;
  const control = event.key === "/" && !typing(event.target) ? one("[data-search]", topmost()) : shortcut(event);
  if (!control) return;
  event.preventDefault();
  for (const act of control.matches("summary") ? ["focus", "click"] : [control.matches("[data-search]") ? "focus" : "click"]) control[act]();
});

// What arrives with every page and fragment: colours and focus points, relative times, lists that stay at their end
function duration(seconds) {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60), hours = Math.floor(minutes / 60);
  if (minutes < 60) return `${minutes} min`;
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}
function tellTimes() {
  for (const element of all("time[data-timeago]")) {
    const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
    if (seconds < 30 * 86400) element.textContent = seconds < 10 ? "just now" : `${duration(seconds)} ago`;
  }
}
const scrolledAway = new Map();
document.addEventListener("scroll", ({ target }) => {
  if (!target.dataset?.scrollEnd) return;
  const { scrollHeight, scrollTop, clientHeight, scrollWidth, scrollLeft, clientWidth } = target;
  const gap = Math.max(scrollHeight - scrollTop - clientHeight, scrollWidth - scrollLeft - clientWidth);
  scrolledAway.set(target.dataset.scrollEnd, gap > 24 ? { left: scrollLeft, top: scrollTop } : null);
}, { capture: true, passive: true });
function dress(node) {
  const within = (selector) => [...(node.matches(selector) ? [node] : []), ...all(selector, node)];
  for (const element of within("[data-tint]")) element.style.setProperty("--tint", element.dataset.tint);
  for (const element of window.Sortable ? within("[data-sortable]") : []) new Sortable(element, { handle: "[data-grip]", animation: 150 });
  for (const element of within("[data-focus]")) element.style.setProperty("--focus", element.dataset.focus);
  for (const element of within("[data-scroll-end]")) {
    element.scrollTo(scrolledAway.get(element.dataset.scrollEnd) ?? { left: element.scrollWidth, top: element.scrollHeight });
  }
  tellTimes();
}

window.isengard = { make, toast, failureSentence, lost, restored, duration };
htmx.onLoad(dress);
setInterval(tellTimes, 30000);
for (const element of all(".toast", stack)) expire(element, one("form", element) ? 60 : element.matches(".toast-error") ? 10 : 5);
if (stack.children.length) raise();
