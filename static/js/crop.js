// The crop editor: Cropper.js over a form whose four numbers, fractions of the picture, are the truth.
// Tells the form "crop:moved" when a person moved the frame; the form's own htmx sends it.

const NAMES = ["x", "y", "width", "height"];
const MOVES = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", -1], ArrowDown: ["y", 1] };

function start(form) {
  const stage = form.querySelector(".crop-stage"), image = stage.querySelector("img");
  const sides = () => ({ x: image.naturalWidth, y: image.naturalHeight, width: image.naturalWidth, height: image.naturalHeight });
  let cropper = null, width = 0;
  const show = () => cropper.setData(Object.fromEntries(NAMES.map((name) => [name, form.elements[name].valueAsNumber * sides()[name]])));
  const take = () => {
    const data = cropper.getData();
    for (const name of NAMES) form.elements[name].value = Math.min(Math.max(data[name] / sides()[name], 0), 1).toFixed(5);
    form.dispatchEvent(new CustomEvent("crop:moved"));
  };
  // Made anew when the width changes: its own resizing loses the frame when a panel was hidden meanwhile.
  const fit = () => {
    if (!stage.clientWidth || stage.clientWidth === width) return;
    width = stage.clientWidth;
    cropper?.destroy();
    cropper = new Cropper(image, {
      viewMode: 1, dragMode: "none", zoomable: false, movable: false, toggleDragModeOnDblclick: false, responsive: false,
      checkOrientation: false, checkCrossOrigin: false, background: false, ready: show, cropend: take,
    });
  };
  new ResizeObserver(fit).observe(stage);
  form.addEventListener("change", ({ target }) => {
    if (NAMES.includes(target.name)) show();
    else cropper.setAspectRatio(Number(target.value) || NaN);
    take();
  });
  stage.addEventListener("keydown", (event) => {
    const data = cropper.getData(), grow = { "+": 1, "=": 1, "*": 1, "-": -1, _: -1 }[event.key];
    const step = (event.shiftKey ? 0.05 : 0.01) * Math.max(image.naturalWidth, image.naturalHeight);
    if (MOVES[event.key]) data[MOVES[event.key][0]] += MOVES[event.key][1] * step;
    else if (grow) {
      const scale = Math.max(1 + (grow * 2 * step) / Math.max(data.width, data.height), 0.1);
      for (const [at, side] of [["x", "width"], ["y", "height"]]) { data[at] += (data[side] * (1 - scale)) / 2; data[side] *= scale; }
    } else return;
    event.preventDefault();
    cropper.setData(data);
    take();
  });
}

htmx.onLoad((node) => { for (const form of [node, ...node.querySelectorAll("[data-crop]")]) if (form.matches("[data-crop]")) start(form); });
