// The crop editor: Cropper.js over a form whose four numbers, fractions of the picture, are the truth.
// Tells the form "crop:moved" when a person moved the frame; the form's own htmx sends it.

const NAMES = ["x", "y", "width", "height"];
const MOVES = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", -1], ArrowDown: ["y", 1] };
let current = null;

function start(form) {
  const stage = form.querySelector(".crop-stage"), image = stage.querySelector("img");
  const sides = () => ({ x: image.naturalWidth, y: image.naturalHeight, width: image.naturalWidth, height: image.naturalHeight });
  const show = () => cropper.setData(Object.fromEntries(NAMES.map((name) => [name, form.elements[name].valueAsNumber * sides()[name]])));
  const take = () => {
    const data = cropper.getData();
    for (const name of NAMES) form.elements[name].value = Math.min(Math.max(data[name] / sides()[name], 0), 1).toFixed(5);
    form.dispatchEvent(new CustomEvent("crop:moved"));
  };
  current?.destroy();
  const cropper = current = new Cropper(image, {
    viewMode: 1, dragMode: "none", zoomable: false, movable: false, toggleDragModeOnDblclick: false,
    checkOrientation: false, checkCrossOrigin: false, background: false, ready: show, cropend: take,
  });
  form.addEventListener("change", ({ target }) => {
    if (NAMES.includes(target.name)) { show(); take(); }
    if (!target.matches("[data-crop-shape]")) return;
    cropper.setAspectRatio(Number(target.value) || NaN);
    take();
  });
  stage.addEventListener("keydown", (event) => {
    const data = cropper.getData(), step = (event.shiftKey ? 0.05 : 0.01) * Math.max(image.naturalWidth, image.naturalHeight);
    const grow = { "+": 1, "=": 1, "*": 1, "-": -1, _: -1 }[event.key];
    if (MOVES[event.key]) data[MOVES[event.key][0]] += MOVES[event.key][1] * step;
    else if (grow) {
      const scale = Math.max(1 + (grow * 2 * step) / Math.max(data.width, data.height), 0.1);
      Object.assign(data, { x: data.x + (data.width * (1 - scale)) / 2, y: data.y + (data.height * (1 - scale)) / 2, width: data.width * scale, height: data.height * scale });
    } else return;
    event.preventDefault();
    cropper.setData(data);
    take();
  });
}

htmx.onLoad((node) => { for (const form of node.querySelectorAll("[data-crop]")) start(form); });
