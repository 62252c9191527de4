// The mask's brush: strokes of Signature Pad on a canvas that is the mask itself, white on black, over the photo.
// Strokes are kept in the page's pixels, so that they can be undone and drawn again when the page changes its width;
// the form has the mask after each, so that whatever it sends before the end takes them along.

import SignaturePad from "../vendor/signature_pad/signature_pad.min.js";

function start(form) {
  const canvas = form.querySelector("canvas"), context = canvas.getContext("2d"), base = form.querySelector("[data-brush-base]");
  const pad = new SignaturePad(canvas, { backgroundColor: "#000", throttle: 0, minDistance: 1 });
  let width = 0;
  const half = () => Number(form.elements.size.value) / 2;
  const pick = () => Object.assign(pad, { penColor: form.elements.brush.value, minWidth: half(), maxWidth: half(), dotSize: half() });
  const draw = (strokes) => {
    context.setTransform(1, 0, 0, 1, 0, 0);
    pad.clear();
    if (base) context.drawImage(base, 0, 0, canvas.width, canvas.height);
    context.scale(canvas.width / width, canvas.height / canvas.clientHeight);
    pad.fromData(strokes, { clear: false });
    pick();
  };
  const fit = () => {
    if (!canvas.clientWidth || canvas.clientWidth === width) return;
    const ratio = width ? canvas.clientWidth / width : 1, strokes = pad.toData();
    for (const stroke of strokes) {
      for (const name of ["minWidth", "maxWidth", "dotSize"]) stroke[name] *= ratio;
      for (const point of stroke.points) { point.x *= ratio; point.y *= ratio; }
    }
    width = canvas.clientWidth;
    draw(strokes);
  };
  const keep = (then) => canvas.toBlob((blob) => {
    const files = new DataTransfer();
    files.items.add(new File([blob], "mask.png", { type: "image/png" }));
    form.elements.mask.files = files.files;
    then?.();
  }, "image/png");
  form.addEventListener("input", pick);
  pad.addEventListener("endStroke", () => keep());
  form.querySelector("[data-brush-undo]").addEventListener("click", () => { draw(pad.toData().slice(0, -1)); keep(); });
  form.querySelector("[data-brush-save]").addEventListener("click", () => keep(() => form.requestSubmit()));
  (base ? base.decode() : Promise.resolve()).then(() => new ResizeObserver(fit).observe(canvas));
}

htmx.onLoad((node) => { for (const form of [node, ...node.querySelectorAll("[data-brush]")]) if (form.matches("[data-brush]")) start(form); });
