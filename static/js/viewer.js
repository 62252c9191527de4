// Looking at pictures: the full-screen viewer over [data-viewer] groups, arrows in grids, and the compare slider.

const dialog = document.querySelector("#viewer");
const part = (selector) => dialog.querySelector(selector);
const stage = part(".viewer-stage");
const picture = part("img");
const steps = dialog.querySelectorAll("[data-viewer-step]");
let current = null;

// A live page may have swapped the grid under the open viewer: find the same picture in the new one.
function items() {
  if (!current.isConnected) current = document.querySelector(`[data-viewer-item][href="${CSS.escape(current.getAttribute("href"))}"]`) ?? current;
  const group = current.closest("[data-viewer]") ?? document;
  return [...group.querySelectorAll("[data-viewer-item]")];
}

function fillPanel(item) {
  const panel = part("[data-viewer-panel]");
  panel.replaceChildren();
  const template = item.dataset.panel && document.querySelector(item.dataset.panel);
  if (template) panel.append(template.content.cloneNode(true));
  else if (item.dataset.panelUrl) htmx.ajax("GET", item.dataset.panelUrl, { target: panel, swap: "innerHTML" });
}
function show(item) {
  current = item;
  const list = items(), index = list.indexOf(item), near = (by) => list[index + by];
  const thumb = item.querySelector("img");
  fit();
  picture.alt = thumb?.alt ?? item.dataset.caption ?? "";
  picture.src = thumb?.currentSrc || item.href;
  const full = new Image();
  // A tiny picture's tile is its smooth enlargement, which looks better than the browser's own.
  full.onload = () => { if (current === item && full.naturalWidth >= picture.naturalWidth) picture.src = full.src; };
  full.src = item.href;
  part("[data-viewer-count]").textContent = list.length > 1 ? `${index + 1} / ${list.length}` : "";
  part("[data-viewer-caption]").textContent = item.dataset.caption ?? picture.alt;
  part("[data-viewer-download]").href = item.dataset.download ?? item.href;
  for (const button of steps) button.disabled = !near(Number(button.dataset.viewerStep));
  fillPanel(item);
  for (const other of [near(1), near(-1)]) if (other) new Image().src = other.href;
}
function step(by) {
  const list = items(), next = list[list.indexOf(current) + by];
  if (next) show(next);
}
function fit() {
  dialog.classList.replace("is-zoomed", "is-fit");
  picture.style.removeProperty("width");
}

// Real pixels, or twice the fitted size where the picture is smaller than the screen; the clicked point stays in view.
function zoom(x = 0.5, y = 0.35) {
  if (dialog.classList.contains("is-zoomed")) return fit();
  const scale = Math.min(stage.clientWidth / picture.naturalWidth, stage.clientHeight / picture.naturalHeight);
  dialog.classList.replace("is-fit", "is-zoomed");
  picture.style.width = `${picture.naturalWidth * Math.max(1, 2 * scale)}px`;
  stage.scrollTo(stage.scrollWidth * x - stage.clientWidth / 2, stage.scrollHeight * y - stage.clientHeight / 2);
}
document.addEventListener("click", (event) => {
  const item = event.target.closest("[data-viewer-item]");
  if (!item || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  dialog.showModal();
  show(item);
});
stage.addEventListener("click", (event) => {
  const box = picture.getBoundingClientRect();
  zoom((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
});
part("[data-viewer-zoom]").addEventListener("click", () => zoom());
for (const button of steps) button.addEventListener("click", () => step(Number(button.dataset.viewerStep)));
dialog.addEventListener("close", () => {
  if (current?.isConnected) current.focus();
  part("[data-viewer-panel]").replaceChildren();
});

let touchX = null;
stage.addEventListener("touchstart", (event) => { touchX = event.touches.length === 1 ? event.touches[0].clientX : null; }, { passive: true });
stage.addEventListener("touchend", (event) => {
  const moved = touchX === null ? 0 : event.changedTouches[0].clientX - touchX;
  if (Math.abs(moved) > 48 && dialog.classList.contains("is-fit")) step(moved < 0 ? 1 : -1);
}, { passive: true });
const VIEWER_KEYS = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), z: () => zoom(), " ": () => zoom(), d: () => part("[data-viewer-download]").click() };
function viewerKey(event) {
  const act = VIEWER_KEYS[event.key];
  if (act) { event.preventDefault(); act(); return; }
  // f, x and Delete act on the shown picture's own tile, unless the panel offers them itself (app.js).
  const wanted = `[data-key="${CSS.escape(event.key)}"]`;
  if (!part(wanted)) current?.closest(".tile")?.querySelector(wanted)?.click();
}

// Arrows in a grid go to the nearest tile in that direction; space opens it.
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function middle(element) {
  const box = element.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
}
function neighbour(link, [dx, dy]) {
  const [x, y] = middle(link);
  let best = null, least = Infinity;
  for (const other of link.closest(".photo-grid, .samples").querySelectorAll(".tile > a")) {
    const [ox, oy] = middle(other);
    const along = (ox - x) * dx + (oy - y) * dy, across = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    if (along > 4 && along + 4 * across < least) [best, least] = [other, along + 4 * across];
  }
  return best;
}
document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  if (dialog.open) { viewerKey(event); return; }
  const link = event.target.closest(".photo-grid .tile > a, .samples .tile > a");
  if (!link) return;
  const act = event.key === " " ? () => link.click() : DIRECTIONS[event.key] && (() => neighbour(link, DIRECTIONS[event.key])?.focus());
  if (!act) return;
  event.preventDefault();
  act();
});
document.addEventListener("input", ({ target }) => target.closest("[data-compare]")?.style.setProperty("--at", `${target.value}%`));
