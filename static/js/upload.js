// Photos in: drag and drop or picker, one request per file, three at a time, progress and a reason per file, retry.
// Without JavaScript the same file input is sent by its form. Knows the answer {uploaded, rejected: [{filename, reason}]}.

const { make, toast, failureSentence } = window.isengard;
const AT_ONCE = 3, PREVIEWS = 40, boxes = new WeakMap();
const stateOf = (box) => boxes.get(box) ?? boxes.set(box, { waiting: [], active: 0, total: 0, done: 0, skipped: 0, failed: 0 }).get(box);
const part = (box, name) => box.querySelector(`[data-upload-${name}]`);

function tell(row, state, note) {
  row.dataset.state = state;
  row.querySelector(".upload-note").textContent = note;
  part(row, "retry").hidden = state !== "failed";
}
// Thousands of files at once get their row when their turn comes: a decoded photo per row would fill the memory.
function rowOf(box, entry) {
  if (entry.row) return entry.row;
  const row = entry.row = part(box, "template").content.firstElementChild.cloneNode(true), image = row.querySelector("img");
  row.querySelector(".upload-name").textContent = entry.file.name;
  image.src = URL.createObjectURL(entry.file);
  part(row, "retry").onclick = () => { stateOf(box).failed -= 1; enqueue(box, entry); };
  part(box, "list").hidden = false;
  part(box, "list").append(row);
  return row;
}
function enqueue(box, entry) {
  const { waiting } = stateOf(box);
  waiting.push(entry);
  if (waiting.length <= PREVIEWS) tell(rowOf(box, entry), "waiting", box.dataset.uploadUrl ? "Waiting" : "Uploads when you create the character");
  pump(box);
}
function add(box, files) {
  stateOf(box).total += files.length;
  for (const file of files) enqueue(box, { file });
  summarize(box);
}
async function pump(box) {
  const state = stateOf(box);
  if (!box.dataset.uploadUrl || state.active >= AT_ONCE || !state.waiting.length) return;
  const entry = state.waiting.shift(), row = rowOf(box, entry);
  state.active += 1;
  pump(box);
  const [outcome, note, pause] = await send(box.dataset.uploadUrl, entry.file, row);
  tell(row, outcome, note);
  if (pause) { state.waiting.unshift(entry); await new Promise((resolve) => { setTimeout(resolve, pause * 1000); }); }
  else state[outcome] += 1;
  if (outcome === "done" || (outcome === "skipped" && state.waiting.length > PREVIEWS)) setTimeout(() => { URL.revokeObjectURL(row.querySelector("img").src); row.remove(); }, state.waiting.length ? 1000 : 4000);
  state.active -= 1;
  summarize(box);
  if (state.active || state.waiting.length) pump(box);
  else finish(box);
}

// htmx sends it, because its requests carry the token and the correlation id, and tell how much of a file has gone.
async function send(url, file, row) {
  let answer = null;
  tell(row, "sending", "");
  row.addEventListener("htmx:xhr:progress", ({ detail: { loaded, total } }) => { row.querySelector("progress").value = loaded / total; });
  row.addEventListener("htmx:afterRequest", ({ detail: { xhr } }) => { answer = xhr; }, { once: true });
  await htmx.ajax("POST", url, { source: row, swap: "none", values: { files: file }, headers: { Accept: "application/json" } }).catch(() => {});
  return verdict(answer.status, answer.getResponseHeader("Content-Type") ?? "", answer);
}
function verdict(status, type, xhr) {
  if (status === 429) return ["waiting", "Waiting for its turn", Number(xhr.getResponseHeader("Retry-After")) || 5];
  if (status < 200 || status >= 400 || !type.includes("json")) return ["failed", failureSentence(status, type, xhr.responseText)];
  const { rejected = [], skipped = [] } = JSON.parse(xhr.responseText);
  if (rejected.length) return ["failed", rejected[0].reason];
  return skipped.length ? ["skipped", skipped[0].reason] : ["done", "Added"];
}
function summarize(box) {
  const { done, skipped, failed, total } = stateOf(box);
  const parts = [`${done} of ${total} added`, skipped && `${skipped} already there`, failed && `${failed} not added`].filter(Boolean);
  Object.assign(part(box, "summary"), { textContent: box.dataset.uploadUrl ? parts.join(" · ") : `${total} chosen`, hidden: false });
}
function finish(box) {
  const { failed } = stateOf(box);
  for (const name of box.dataset.uploadRefresh.split(" ")) htmx.trigger(document.body, name);
  htmx.trigger(box, "upload:done", { failed });
  if (failed) toast({ message: `${failed} of the photos could not be added. The list says why.`, level: "warning" });
}

// A form that makes the owner first is sent without files; its answer says where they go. Then that page opens.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { elt: form, xhr } = event.detail, page = xhr.getResponseHeader("HX-Redirect");
  const box = form.id && document.querySelector(`[data-upload-form="#${CSS.escape(form.id)}"]`);
  if (!page || !box || !stateOf(box).total) return;
  event.preventDefault();
  const go = make("a", { href: page, className: "btn btn-primary", textContent: "Continue", hidden: true });
  box.addEventListener("upload:done", ({ detail }) => { if (detail.failed) go.hidden = false; else location.assign(page); });
  box.dataset.uploadUrl = xhr.getResponseHeader("X-Upload-Url");
  // The owner exists now: whatever happens to the files, the form must not make it a second time.
  form.querySelector(".action-bar").replaceChildren(go);
  for (const old of form.querySelectorAll(".field-error")) old.remove();
  history.replaceState(null, "", page);
  pump(box);
});
document.addEventListener("change", ({ target }) => {
  const box = target.matches("input[type=file]") && target.closest("[data-upload-url]");
  if (!box) return;
  add(box, target.files);
  target.value = "";
});

// Dropping anywhere on a page with an upload box works; the veil says where it goes.
const veil = document.body.appendChild(make("div", { className: "drop-veil", textContent: "Drop the photos to add them", hidden: true }));
const target = () => document.querySelector("dialog[open] [data-upload-url]") ?? document.querySelector("[data-upload-url]");
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  const box = target(), dialog = box?.closest("dialog");
  veil.hidden = !box || kind === "drop";
  if (!box || kind === "dragover") return;
  if (dialog && !dialog.open) dialog.showModal();
  add(box, event.dataTransfer.files);
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
