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
  for (const bar of all("[data-select-bar]")) { if (!number && bar.contains(document.activeElement)) document.getElementById(`t-${last}`)?.focus(); bar.hidden = !number; }
  for (const place of all("[data-select-count]")) place.textContent = `${number.toLocaleString()} selected`;
}
function begin(withEverything) {
  ids.clear(), everything = withEverything;
  if (grid()) show();
  last = null;
}
// Every photo from the first block to the last: those of an emptied block stand in its address.
const order = () => all("[data-block]").flatMap((block) => ("empty" in block.dataset ? new URL(block.getAttribute("hx-get"), location).searchParams.get("ids").split(",") : all(".tile-check input", block).map(({ value }) => value)));
function toggle({ value }, on, range) {
  const list = order(), [from, to] = [list.indexOf(last), list.indexOf(value)].sort((a, b) => a - b);
  for (const id of range && from >= 0 ? list.slice(from, to + 1) : [value]) choose(id, on);
  last = value;
  show();
}

// While something is chosen, or with a key held, a click on a photo chooses it; else it opens.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-select-none]")) return begin(false);
  if (event.target.closest("[data-select-all]")) return begin(true);
  const box = grid()?.contains(event.target) && boxOf(event.target);
  if (box && event.target === box) return toggle(box, box.checked, event.shiftKey);
  const held = event.shiftKey || event.ctrlKey || event.metaKey, link = box && event.target.closest(".tile > a");
  if (!link) return;
  // The browser's way back leads to this photo again, wherever the list began.
  if (event.detail === 0 || !(count() || held)) return void history.replaceState(history.state, "", `${link.closest("[data-block]").dataset.at}#${link.id}`);
  event.preventDefault();
  toggle(box, !box.checked, event.shiftKey);
});
document.addEventListener("keydown", (event) => {
  if (!grid() || document.querySelector("dialog[open]") || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  if (event.key === "Escape" && !event.defaultPrevented) return begin(false); // else it closed a menu (app.js)
  if (event.key === "X" && boxOf(event.target)) return toggle(boxOf(event.target), true, true);
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
    if (isIntersecting && "empty" in block.dataset) htmx.trigger(block, "refill");
    if (isIntersecting || "empty" in block.dataset || !height) continue;
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
  // Observed anew, since a fast scroll may have passed it before its tiles came.
  for (const block of all("[data-empty]:has(.tile)")) { delete block.dataset.empty; block.style.minHeight = ""; near.unobserve(block); near.observe(block); }
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
