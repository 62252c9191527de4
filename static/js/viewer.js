// Looking at pictures: PhotoSwipe (zoom, pan, swipe) inside the viewer's dialog, over the links of a [data-viewer] group;
// arrows and space in grids, a swipe from photo to photo on a page, and the compare slider. Knows no page.

const dialog = document.querySelector("#viewer");
const part = (selector) => dialog.querySelector(selector);
const stage = part(".viewer-stage"), panel = part("[data-viewer-panel]");
const steps = dialog.querySelectorAll("[data-viewer-step]");
let shown = null, links = [];

// A live page may have swapped the grid under the open viewer: then the same picture in the new one.
function current() {
  const link = links[shown.currIndex];
  return link.isConnected ? link : document.querySelector(`[data-viewer-item][href="${CSS.escape(link.getAttribute("href"))}"]`) ?? link;
}
// A tiny picture's tile is its smooth enlargement, which looks better than the browser's own; none is shown smaller than this.
const LEAST = 2048;
function slide(link) {
  const thumb = link.querySelector("img");
  const [width, height] = ["width", "height"].map((side) => Number(thumb.getAttribute(side)) || 0);
  const ratio = (width || thumb.naturalWidth || 1) / (height || thumb.naturalHeight || 1);
  const longest = Math.max(width, height, LEAST);
  const src = width && width < thumb.naturalWidth ? thumb.currentSrc : link.href;
  return { src, msrc: thumb.currentSrc, alt: thumb.alt, width: longest * Math.min(1, ratio), height: longest / Math.max(1, ratio) };
}
function tell() {
  const link = current(), index = shown.currIndex;
  part("[data-viewer-count]").textContent = links.length > 1 ? `${index + 1} / ${links.length}` : "";
  part("[data-viewer-caption]").textContent = link.dataset.caption ?? "";
  part("[data-viewer-download]").href = link.dataset.download ?? link.href;
  for (const button of steps) button.disabled = !links[index + Number(button.dataset.viewerStep)];
  const template = link.dataset.panel && document.querySelector(link.dataset.panel);
  panel.replaceChildren(...(template ? [template.content.cloneNode(true)] : []));
  shown.updateSize();
}
async function open(link) {
  const { default: PhotoSwipe } = await import("../vendor/photoswipe/photoswipe.esm.min.js");
  links = [...(link.closest("[data-viewer]") ?? document).querySelectorAll("[data-viewer-item]")];
  dialog.showModal();
  const fit = ({ panAreaSize: { x, y }, elementSize }) => Math.min(x / elementSize.x, y / elementSize.y);
  shown = new PhotoSwipe({
    dataSource: links.map(slide), index: links.indexOf(link), appendToEl: stage, loop: false, showHideAnimationType: "none",
    escKey: false, trapFocus: false, returnFocus: false, close: false, zoom: false, counter: false, arrowPrev: false, arrowNext: false,
    bgOpacity: 1, imageClickAction: "zoom", tapAction: null, wheelToZoom: true,
    paddingFn: ({ x }) => (x < 600 ? { top: 56, bottom: 0, left: 0, right: 0 } : { top: 56, bottom: 16, left: 64, right: 64 }),
    getViewportSizeFn: () => ({ x: stage.clientWidth, y: stage.clientHeight }),
    initialZoomLevel: fit, secondaryZoomLevel: (level) => Math.max(1, 2 * fit(level)),
  });
  shown.on("change", tell);
  shown.on("destroy", () => dialog.close());
  shown.init();
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-viewer-item]");
  if (!link || event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  open(link);
});
part("[data-viewer-zoom]").addEventListener("click", () => shown.toggleZoom());
for (const button of steps) button.addEventListener("click", () => shown.goTo(shown.currIndex + Number(button.dataset.viewerStep)));
dialog.addEventListener("close", () => {
  current().focus();
  panel.replaceChildren();
  shown.destroy();
});
const VIEWER_KEYS = { " ": () => shown.toggleZoom(), d: () => part("[data-viewer-download]").click() };
function viewerKey(event) {
  const act = VIEWER_KEYS[event.key];
  if (act) { event.preventDefault(); act(); return; }
  // f, x and Delete act on the shown picture's own tile, unless the panel offers them itself (app.js).
  const wanted = `[data-key="${CSS.escape(event.key)}"]`;
  if (!part(wanted)) current().closest(".tile")?.querySelector(wanted)?.click();
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
  for (const other of link.closest("[data-blocks], .photo-grid, .samples").querySelectorAll(".tile > a")) {
    const [ox, oy] = middle(other);
    const along = (ox - x) * dx + (oy - y) * dy, across = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    if (along > 4 && along + 4 * across < least) [best, least] = [other, along + 4 * across];
  }
  return best;
}
document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  if (dialog.open) return viewerKey(event);
  const link = event.target.closest(".photo-grid .tile > a, .samples .tile > a");
  const act = link && (event.key === " " ? () => link.click() : DIRECTIONS[event.key] && (() => neighbour(link, DIRECTIONS[event.key])?.focus()));
  if (!act) return;
  event.preventDefault();
  act();
});
document.addEventListener("input", ({ target }) => target.closest("[data-compare]")?.style.setProperty("--at", `${target.value}%`));
