// Photos in: drag and drop or picker, one request per file, three at a time, progress and a reason per file, retry.
// Without JavaScript the same file input is sent by its form. Knows the answer {uploaded, rejected: [{filename, reason}]}.

const { make, toast, fail, request, failureSentence, correlationId, csrfToken, lost } = window.isengard;
const AT_ONCE = 3;
const boxes = new WeakMap();

const emptyState = () => ({ waiting: [], active: 0, counts: { done: 0, skipped: 0, failed: 0 }, total: 0 });
const boxState = (box) => boxes.get(box) ?? boxes.set(box, emptyState()).get(box);

function tell(row, state, note) {
  row.dataset.state = state;
  row.querySelector(".upload-note").textContent = note;
  row.querySelector("[data-upload-retry]").hidden = state !== "failed";
}
function addRow(box, file) {
  const list = box.querySelector("[data-upload-list]");
  const row = box.querySelector("[data-upload-template]").content.firstElementChild.cloneNode(true);
  row.querySelector(".upload-name").textContent = file.name;
  const image = row.querySelector("img");
  image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  row.querySelector("[data-upload-retry]").addEventListener("click", () => { boxState(box).counts.failed -= 1; enqueue(box, file, row); });
  list.hidden = false;
  list.append(row);
  return row;
}
function enqueue(box, file, row) {
  tell(row, "waiting", box.dataset.uploadUrl ? "Waiting" : "Uploads when you create the character");
  boxState(box).waiting.push({ file, row });
  pump(box);
}
function add(box, files) {
  const state = boxState(box);
  for (const file of files) { state.total += 1; enqueue(box, file, addRow(box, file)); }
  summarize(box);
}
function pump(box) {
  const state = boxState(box);
  while (box.dataset.uploadUrl && state.active < AT_ONCE && state.waiting.length) {
    state.active += 1;
    const { file, row } = state.waiting.shift();
    send(box.dataset.uploadUrl, file, row).then(({ outcome, note }) => {
      state.active -= 1;
      state.counts[outcome] += 1;
      tell(row, outcome, note);
      summarize(box);
      pump(box);
      if (!state.active && !state.waiting.length) finish(box);
    });
  }
}

// XMLHttpRequest, because fetch does not tell how much of a file has gone.
function send(url, file, row) {
  tell(row, "sending", "");
  const bar = row.querySelector("progress");
  const body = new FormData();
  body.append("files", file, file.name);
  return new Promise((resolve) => {
    const xhr = new XMLHttpRequest();
    xhr.upload.onprogress = ({ loaded, total }) => { bar.value = loaded / total; };
    xhr.onload = () => resolve(verdict(xhr));
    xhr.onerror = () => { lost("http"); resolve({ outcome: "failed", note: failureSentence(0, "", "") }); };
    xhr.open("POST", url);
    const headers = { Accept: "application/json", "X-CSRFToken": csrfToken(), "X-Correlation-ID": correlationId() };
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.send(body);
  });
}
function verdict(xhr) {
  const type = xhr.getResponseHeader("Content-Type") ?? "";
  if (xhr.status >= 400 || !type.includes("json")) return { outcome: "failed", note: failureSentence(xhr.status, type, xhr.responseText) };
  const { rejected = [], skipped = [] } = JSON.parse(xhr.responseText);
  if (rejected.length) return { outcome: "failed", note: rejected[0].reason };
  if (skipped.length) return { outcome: "skipped", note: skipped[0].reason };
  return { outcome: "done", note: "Added" };
}
function summarize(box) {
  const { counts: { done, skipped, failed }, total } = boxState(box);
  const parts = [`${done} of ${total} added`, skipped && `${skipped} already there`, failed && `${failed} not added`];
  const textContent = box.dataset.uploadUrl ? parts.filter(Boolean).join(" · ") : `${total} chosen`;
  Object.assign(box.querySelector("[data-upload-summary]"), { textContent, hidden: false });
}
function finish(box) {
  const { counts } = boxState(box);
  htmx.trigger(document.body, box.dataset.uploadRefresh, { ...counts });
  htmx.trigger(box, "upload:done", { ...counts });
  if (counts.failed) toast({ message: `${counts.failed} of the photos could not be added. The list says why.`, level: "warning" });
  else for (const row of box.querySelectorAll('[data-state="done"]')) setTimeout(() => row.remove(), 4000);
}

// A form that makes the owner first: it is sent without files, the page it leads to says where they go.
async function createThenUpload(form, box) {
  const body = new FormData(form);
  for (const input of form.querySelectorAll("input[type=file]")) body.delete(input.name);
  const response = await request(form.action, { method: "POST", body }).catch((error) => {
    if (![400, 422].includes(error.status)) fail(error);
    else return error.response;
  });
  if (!response) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!response.redirected) return showErrors(form, page);
  const url = page.querySelector("[data-upload-url]")?.dataset.uploadUrl;
  if (!url) return location.assign(response.url);
  const go = make("a", { href: response.url, className: "btn btn-primary", textContent: "Continue", hidden: true });
  box.addEventListener("upload:done", ({ detail }) => { if (detail.failed) go.hidden = false; else location.assign(response.url); });
  box.dataset.uploadUrl = url;
  // The owner exists now: whatever happens to the files, the form must not make it a second time.
  form.querySelector(".action-bar")?.replaceChildren(go);
  history.replaceState(null, "", response.url);
  pump(box);
}
function showErrors(form, page) {
  for (const group of form.querySelectorAll(".field:not(:has([data-upload-url]))")) {
    const id = group.querySelector("[id]")?.id, fresh = id && page.getElementById(id)?.closest(".field");
    if (fresh) group.replaceWith(fresh);
  }
  form.querySelector("[aria-invalid=true]")?.focus();
}

document.addEventListener("submit", (event) => {
  const box = document.querySelector(`[data-upload-form="#${CSS.escape(event.target.id)}"]`);
  if (!box || !boxState(box).total) return;
  event.preventDefault();
  createThenUpload(event.target, box).finally(() => event.target.dispatchEvent(new Event("form:free", { bubbles: true })));
});
document.addEventListener("change", ({ target }) => {
  const box = target.matches("input[type=file]") && target.closest("[data-upload-url]");
  if (!box) return;
  add(box, target.files);
  target.value = "";
});

// Dropping anywhere on a page with an upload box works; the veil says where it goes.
const veil = make("div", { className: "drop-veil", textContent: "Drop the photos to add them", hidden: true });
document.body.append(veil);
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
const target = () => document.querySelector("dialog[open] [data-upload-url]") ?? document.querySelector("[data-upload-url]");
document.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  veil.hidden = !target();
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
document.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  veil.hidden = true;
  const box = target();
  const dialog = box?.closest("dialog");
  if (dialog && !dialog.open) dialog.showModal();
  if (box) add(box, event.dataTransfer.files);
});
