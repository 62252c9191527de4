// Forms: preset tiles, sliders, drafts that survive a reload, typed confirmation, selection in grids, no double submit.
// Knows no field by name; the markup says what belongs together (docs/look.md).

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const fieldsOf = (form) => [...form.elements].filter((field) => field.name && !["file", "hidden", "password", "submit"].includes(field.type) && field.name !== "confirm");

// Preset tiles fill the fields they name; editing one of those fields turns the choice to the tile marked as custom.
function applyPreset(radio) {
  for (const [name, value] of Object.entries(JSON.parse(radio.dataset.preset))) {
    const field = radio.form.elements[name];
    if (!field) continue;
    if (field.type === "checkbox") field.checked = Boolean(value);
    else field.value = value;
    syncSlider(field);
  }
}
function leavePreset(field) {
  for (const radio of all("input[data-preset]:checked", field.form)) {
    if (!(field.name in JSON.parse(radio.dataset.preset))) continue;
    const custom = field.form.querySelector(`input[name="${CSS.escape(radio.name)}"][data-preset-custom]`);
    if (custom) custom.checked = true;
  }
}

// A slider is a range beside the number that is sent.
function syncSlider(field) {
  const other = field.closest?.(".slider")?.querySelector(field.type === "range" ? "input[type=number]" : "input[type=range]");
  if (other) other.value = field.value;
  for (const range of [field, other]) if (range?.type === "range") fillTrack(range);
}
const fillTrack = (range) => range.style.setProperty("--fill", `${(100 * (range.value - range.min)) / (range.max - range.min)}%`);
// Drafts
const draftKey = (form) => `draft:${location.pathname}:${form.dataset.draft}`;
function saveDraft(form) {
  const draft = fieldsOf(form).map((field) => [field.name, field.value, field.checked ?? null]);
  localStorage.setItem(draftKey(form), JSON.stringify(draft));
}
function restoreDraft(form) {
  const draft = JSON.parse(localStorage.getItem(draftKey(form)) ?? "null");
  // A form that the server sent back with errors, or filled from a link, already holds the newer words.
  if (!draft || form.querySelector("[aria-invalid=true]") || form.hasAttribute("data-draft-skip")) return;
  for (const field of fieldsOf(form)) {
    const ticked = ["checkbox", "radio"].includes(field.type);
    const saved = draft.find(([name, value]) => name === field.name && (!ticked || value === field.value));
    if (!saved) continue;
    if (ticked) field.checked = saved[2];
    else if (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === saved[1])) field.value = saved[1];
    syncSlider(field);
    if (field.tagName === "SELECT") field.dispatchEvent(new Event("change", { bubbles: true }));
  }
}
const dropDraft = (form) => { if (form.dataset.draft) localStorage.removeItem(draftKey(form)); };

// One submit at a time. The button is not disabled, because then its own name and value would not be sent.
function free(form) {
  delete form.dataset.sending;
  for (const button of all("[aria-busy=true]", form)) button.removeAttribute("aria-busy");
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog" || form.method === "get") return;
  if (form.dataset.sending) { event.preventDefault(); event.stopImmediatePropagation(); return; }
  form.dataset.sending = "yes";
  event.submitter?.setAttribute("aria-busy", "true");
  if (!form.hasAttribute("hx-post")) dropDraft(form);
}, { capture: true });
document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  const form = target.closest?.("form");
  if (!form) return;
  free(form);
  if (detail.successful && form.hasAttribute("data-draft-once")) dropDraft(form);
});
document.addEventListener("form:free", ({ target }) => free(target));
window.addEventListener("pageshow", () => all("form[data-sending]").forEach(free));

// Selection in grids: a bar with the count, all or none, shift for a range
let lastTicked = null;
function tellSelection(scope) {
  const boxes = all(".tile-check input", scope), ticked = boxes.filter((box) => box.checked);
  scope.classList.toggle("selecting", ticked.length > 0);
  for (const bar of all("[data-select-bar]", scope)) bar.hidden = ticked.length === 0;
  for (const count of all("[data-select-count]", scope)) count.textContent = `${ticked.length} selected`;
  for (const toggle of all("[data-select-all]", scope)) toggle.textContent = ticked.length === boxes.length ? "Deselect all" : "Select all";
}

function selectRange(boxes, to) {
  const [first, last] = [boxes.indexOf(lastTicked), boxes.indexOf(to)].sort((a, b) => a - b);
  if (first >= 0) for (const box of boxes.slice(first, last + 1)) box.checked = to.checked;
}
function selectAll(control) {
  const scope = control.closest("[data-select]"), boxes = all(".tile-check input", scope);
  const on = control.hasAttribute("data-select-all") && boxes.some((box) => !box.checked);
  for (const box of boxes) box.checked = on;
  tellSelection(scope);
}

// Small helpers of the generate form
function edit(selector, change) {
  const field = document.querySelector(selector);
  change(field);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}
const CLICKS = {
  "[data-insert]": ({ dataset }) => edit(dataset.insert, (field) => field.setRangeText(dataset.insertText, field.selectionStart, field.selectionEnd, "end")),
  "[data-random]": ({ dataset }) => edit(dataset.random, (field) => { field.value = crypto.getRandomValues(new Uint32Array(1))[0]; }),
  "[data-select-all], [data-select-none]": selectAll,
};
document.addEventListener("click", (event) => {
  for (const [selector, act] of Object.entries(CLICKS)) {
    const control = event.target.closest(selector);
    if (control) act(control);
  }
  if (!event.target.matches(".tile-check input")) return;
  const scope = event.target.closest("[data-select]");
  if (event.shiftKey) selectRange(all(".tile-check input", scope), event.target);
  lastTicked = event.target;
  if (scope) tellSelection(scope);
});
document.addEventListener("input", ({ target }) => {
  if (target.matches("[data-match]")) unlock(target);
  if (!target.form) return;
  enable(target);
  syncSlider(target);
  if (target.matches("input[data-preset]")) applyPreset(target);
  else if (target.name) leavePreset(target);
  if (target.form.dataset.draft) saveDraft(target.form);
});
const enable = (field) => { if (field.dataset.enables) document.querySelector(field.dataset.enables).disabled = !field.value.trim(); };
const unlock = (field) => { for (const button of all("[data-match-target]", field.form)) button.disabled = field.value !== field.dataset.match; };

// Details that remember whether this person opens them
document.addEventListener("toggle", ({ target }) => {
  if (target.matches?.("details[data-remember]")) localStorage.setItem(`open:${target.dataset.remember}`, target.open ? "yes" : "");
}, { capture: true });

htmx.onLoad((node) => {
  const within = (selector) => [...(node.matches(selector) ? [node] : []), ...all(selector, node)];
  within("form[data-draft]").forEach(restoreDraft);
  within("input[type=range]").forEach(fillTrack);
  within("[data-match]").forEach(unlock);
  within("[data-enables]").forEach(enable);
  within("[aria-invalid=true]")[0]?.focus();
  within("[data-select]").forEach(tellSelection);
  for (const details of within("details[data-remember]")) if (localStorage.getItem(`open:${details.dataset.remember}`)) details.open = true;
  const scope = node.closest("[data-select]");
  if (scope) tellSelection(scope);
});
