// Forms: preset tiles, sliders, drafts that survive a reload, typed confirmation, no double submit.
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
const draftOf = (form) => fieldsOf(form).map((field) => [field.name, field.value, field.checked ?? null]);
const saveDraft = (form) => localStorage.setItem(draftKey(form), JSON.stringify(draftOf(form)));
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
window.addEventListener("pageshow", () => all("form[data-sending]").forEach(free));

// A button that writes its words where the cursor stands in another field
document.addEventListener("click", ({ target }) => {
  const { insert, insertText } = target.closest("[data-insert]")?.dataset ?? {}, field = insert && document.querySelector(insert);
  if (!field) return;
  field.setRangeText(insertText, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
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
  within("[role=alert][tabindex], [aria-invalid=true]")[0]?.focus();
  for (const details of within("details[data-remember]")) if (localStorage.getItem(`open:${details.dataset.remember}`)) details.open = true;
});
