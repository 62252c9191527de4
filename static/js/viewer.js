// Looking at pictures: PhotoSwipe (zoom, pan, swipe) inside the viewer's dialog, over the links of a [data-viewer] group;
// arrows and space in grids, swipes, and the compare slider. Knows no page.

const dialog = document.querySelector("#viewer"), part = (selector) => dialog.querySelector(selector);
const stage = part(".viewer-stage"), panel = part("[data-viewer-panel]"), steps = dialog.querySelectorAll("[data-viewer-step]");
let shown = null, links = [];

// A live page may have swapped the grid under the open viewer: then the same picture in the new one.
const current = (link = links[shown.currIndex]) => (link.isConnected ? link : document.querySelector(`[data-viewer-item][href="${CSS.escape(link.getAttribute("href"))}"]`) ?? link);
// A tiny picture's tile is its smooth enlargement, which looks better than the browser's own; none is shown smaller than this.
const LEAST = 2048;
function slide(link) {
  const thumb = link.querySelector("img");
  const [width, height] = ["width", "height"].map((side) => Number(thumb.getAttribute(side)) || 0);
  const ratio = (width || thumb.naturalWidth || 1) / (height || thumb.naturalHeight || 1), longest = Math.max(width, height, LEAST);
  const src = width && width < thumb.naturalWidth ? thumb.currentSrc : link.href;
  return { src, msrc: thumb.currentSrc, alt: thumb.alt, width: longest * Math.min(1, ratio), height: longest / Math.max(1, ratio) };
}
function tell() {
  const link = current(), index = shown.currIndex, template = link.dataset.panel && document.querySelector(link.dataset.panel);
  part("[data-viewer-count]").textContent = links.length > 1 ? `${index + 1} / ${links.length}` : "";
  part("[data-viewer-caption]").textContent = link.dataset.caption ?? "";
  part("[data-viewer-download]").href = link.dataset.download ?? link.href;
  for (const button of steps) button.disabled = !links[index + Number(button.dataset.viewerStep)];
  panel.replaceChildren(...(template ? [template.content.cloneNode(true)] : link.dataset.panelUrl ? [" "] : [])); // it keeps its place
  // A grid of blocks scrolls along behind, so that its next block comes and can be stepped to.
  if (link.dataset.panelUrl) (link.isConnected ? link : document.querySelector(`[data-block][hx-get*="${link.id.slice(2)}"]`))?.scrollIntoView({ block: "nearest" });
  if (link.dataset.panelUrl) htmx.ajax("GET", link.dataset.panelUrl, { source: panel, target: panel }).catch(() => null); // taken back by the next step
  shown.updateSize();
}
htmx.onLoad((node) => {
  const fresh = dialog.open && node.closest("[data-blocks][data-viewer]") ? [...node.querySelectorAll("[data-viewer-item]")].filter(({ href }) => !links.some((link) => link.href === href)) : [];
  for (const link of fresh) { shown.options.dataSource.push(slide(link)); shown.refreshSlideContent(links.push(link) - 1); steps[1].disabled = false; }
});
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
  // The panel took its place while the picture was made ready.
  for (const [name, told] of [["change", tell], ["openingAnimationEnd", () => shown.updateSize(true)], ["destroy", () => dialog.close()]]) shown.on(name, told);
  shown.init();
  shown.element.ariaLabel = "The picture";
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-viewer-item]");
  if (!link || event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey || (event.detail && link.closest(".selecting"))) return;
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
// f, x and Delete act on the shown picture's own tile, unless the bar or the panel offers them itself (app.js).
function viewerKey({ key }) {
  const wanted = ["data-key", "data-viewer-key"].map((name) => `[${name}="${CSS.escape(key)}"]`).join();
  if (!part(wanted)) current().closest(".tile")?.querySelector(wanted)?.click();
}

// Arrows in a grid go to the next tile of the row or the column; space opens it.
const ARROWS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };
function neighbour(link, key) {
  const left = (other) => Math.round(other.getBoundingClientRect().left), field = [...link.closest("[data-blocks], .photo-grid, .samples").querySelectorAll(".tile > a")];
  const line = /Up|Down/.test(key) ? field.filter((other) => left(other) === left(link)) : field;
  return line[line.indexOf(link) + ARROWS[key]];
}
document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  if (dialog.open) return viewerKey(event);
  const link = event.target.closest(".photo-grid .tile > a, .samples .tile > a");
  if (!link || !(event.key === " " || event.key in ARROWS)) return;
  event.preventDefault();
  (event.key === " " ? link.click() : neighbour(link, event.key)?.focus());
});

// A swipe over [data-swipe] presses the arrow of that direction inside it.
let touched = null;
document.addEventListener("touchstart", ({ target, touches }) => { touched = target.closest("[data-swipe]") && touches.length === 1 ? touches[0].clientX : null; }, { passive: true });
document.addEventListener("touchend", ({ target, changedTouches }) => {
  const moved = touched === null ? 0 : changedTouches[0].clientX - touched;
  if (Math.abs(moved) > 48) target.closest("[data-swipe]").querySelector(`[data-key=Arrow${moved < 0 ? "Right" : "Left"}]`)?.click();
}, { passive: true });
document.addEventListener("input", ({ target }) => target.closest("[data-compare]")?.style.setProperty("--at", `${target.value}%`));
