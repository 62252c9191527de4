// Choosing photos across blocks of tiles: by click, with shift, by keyboard, or everything that matches. The choice goes
// along with every form marked data-selection. Blocks far away are emptied and fetched again. Knows no action.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const grid = () => document.querySelector("[data-grid]");
const boxes = () => all(".tile-check input", grid());
const boxOf = (element) => element.closest(".tile")?.querySelector(".tile-check input");
// The chosen ones or, when everything is chosen, the exceptions.
const ids = new Set();
let everything = false, last = null;

const choose = (id, on) => { if (on === everything) ids.delete(id); else ids.add(id); };
const total = () => Number(document.querySelector("[data-total]")?.dataset.total ?? 0);
const count = () => (everything ? Math.max(0, total() - ids.size) : ids.size);

function show() {
  const number = count();
  for (const box of boxes()) box.checked = everything !== ids.has(box.value);
  grid().classList.toggle("selecting", number > 0);
  for (const bar of all("[data-select-bar]")) bar.hidden = !number;
  for (const place of all("[data-select-count]")) place.textContent = `${number.toLocaleString()} selected`;
}
function begin(withEverything) {
  [everything, last] = [withEverything, null];
  ids.clear();
  if (grid()) show();
}
function toggle(box, on, range) {
  const list = boxes(), [from, to] = [list.indexOf(last), list.indexOf(box)].sort((a, b) => a - b);
  for (const one of range && from >= 0 ? list.slice(from, to + 1) : [box]) choose(one.value, on);
  last = box;
  show();
}

// While something is chosen, or with a key held, a click on a photo chooses it; else it opens.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-select-none]")) return begin(false);
  if (event.target.closest("[data-select-all]")) return begin(true);
  const box = grid()?.contains(event.target) && boxOf(event.target);
  if (box && event.target === box) return toggle(box, box.checked, event.shiftKey);
  const held = event.shiftKey || event.ctrlKey || event.metaKey;
  if (!box || !event.target.closest(".tile > a") || event.detail === 0 || !(count() || held)) return;
  event.preventDefault();
  toggle(box, !box.checked, event.shiftKey);
});
document.addEventListener("keydown", (event) => {
  if (!grid() || document.querySelector("dialog[open]") || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  if (event.key === "Escape" && !document.querySelector("details.menu[open]")) return begin(false);
  if (event.key !== "a" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  begin(true);
});
document.addEventListener("formdata", ({ target, formData }) => {
  if (!target.matches("[data-selection]")) return;
  // Delete on a focused tile means that one, when nothing is chosen.
  const here = boxOf(document.activeElement)?.value;
  formData.delete("image_ids");
  formData.set(everything ? "except_ids" : "image_ids", [...(count() || !here ? ids : [here])].join(","));
  if (everything) for (const [name, value] of new URLSearchParams(`all=1&${grid().dataset.query}`)) formData.set(name, value);
});
document.addEventListener("selection:clear", () => begin(false));
document.addEventListener("dialogs:close", () => { for (const dialog of all("dialog[open]")) dialog.close(); });

// A block keeps its height while it is empty, so that nothing jumps.
const near = new IntersectionObserver((entries) => {
  for (const { target: block, isIntersecting, boundingClientRect: { height } } of entries) {
    const empty = "empty" in block.dataset;
    if (isIntersecting && empty) htmx.trigger(block, "refill");
    if (isIntersecting || empty || !height) continue;
    block.style.minHeight = `${height}px`;
    block.dataset.empty = "";
    block.replaceChildren();
  }
}, { rootMargin: "4000px 0px" });
document.addEventListener("photos:changed", () => { for (const block of all("[data-block]:not([data-empty])")) htmx.trigger(block, "refill"); });

// Tiles arrive one by one in the same frame. Where the focused photo has gone, the next that is left is focused.
let heirs = [], frame = 0;
document.addEventListener("htmx:beforeSwap", ({ target }) => {
  const list = boxes().map((box) => box.value), at = list.indexOf(boxOf(document.activeElement)?.value);
  if (at >= 0 && target.matches?.("[data-block]")) heirs = [...list.slice(at), ...list.slice(0, at).reverse()];
});
function tend() {
  all("[data-block]").forEach((block) => near.observe(block));
  for (const block of all("[data-block]:has(.tile)")) { delete block.dataset.empty; block.style.minHeight = ""; }
  const heir = heirs.find((id) => document.getElementById(`t-${id}`));
  if (heir && document.activeElement === document.body) document.getElementById(`t-${heir}`).focus();
  heirs = [];
  show();
}
htmx.onLoad((node) => {
  if (!grid()) return;
  if (node.contains(grid())) begin(false);
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(tend);
});
