// Curves of a JSON URL, drawn with uPlot: live, resized, zoomed, in the theme's colours. Knows only {steps: [], <key of a series>: []}.

const { make, failureSentence } = window.isengard, charts = new Map();

// Canvas needs colours as values; the probe resolves what the class means in the theme of now.
function colour(element, name) {
  const probe = element.appendChild(make("span", { className: name })), value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
const seriesOf = (element) => element.dataset.chartSeries.split(",").map((text) => text.split(":")).map(([key, label, style = "line"]) => ({ key, label, style }));
const WHOLE = [0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power)), formOf = (element) => element.dataset.chartForm ? document.querySelector(element.dataset.chartForm) : null;
const short = (_, value) => (value === null || value === undefined ? "–" : Number(value.toPrecision(4)).toString());
// Points without a line between them mark places.
const STYLES = { faint: { width: 1, points: { show: false } }, points: { width: 0, points: { show: true, size: 9, width: 2 } } };

function options(element, series) {
  const axis = { stroke: colour(element, "muted"), font: "12px Inter, sans-serif", ticks: { show: false } };
  const grid = { stroke: colour(element, "chart-grid"), width: 1 }, drawn = { width: 2, points: { show: false } };
  return {
    width: element.clientWidth, height: Number(element.dataset.chartHeight ?? 240), scales: { x: { time: false } },
    cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false, setScale: !formOf(element) } },
    axes: [{ ...axis, size: 32, grid: { show: false }, incrs: element.dataset.chartX ? null : WHOLE }, { ...axis, grid, size: 56 }], hooks: { setSelect: [(plot) => zoom(element, plot)] },
    series: [{ label: element.dataset.chartX ?? "Step", value: short }, ...series.map(({ label, style }) => ({ label, stroke: colour(element, `chart-${style}`), value: short, ...STYLES[style] ?? drawn }))],
  };
}
// A range that was dragged over goes to the form, so that the studio sends what lies between in full.
function zoom(element, plot) {
  const form = formOf(element), { left, width } = plot.select;
  if (!form || width < 8) return;
  [form.elements.first.value, form.elements.last.value] = [left, left + width].map((place) => Math.round(plot.posToVal(place, "x")));
  plot.setSelect({ width: 0, height: 0 }, false);
  form.dispatchEvent(new Event("change", { bubbles: true }));
}
function show(element, json, words) {
  const known = charts.get(element), series = seriesOf(element).filter(({ key }) => json.steps?.length > 1 && json[key]?.some((value) => value !== null));
  const data = [json.steps, ...series.map(({ key }) => json[key])], shape = series.map(({ key }) => key).join();
  if (known.plot && known.shape === shape) return known.plot.setData(data);
  known.plot?.destroy();
  element.replaceChildren(...(shape ? [] : [make("p", { className: "chart-note", textContent: words })]));
  Object.assign(known, { shape, plot: shape ? new uPlot(options(element, series), data, element) : null });
}
async function load(element) {
  const known = charts.get(element), form = formOf(element);
  // The next question waits for the answer: where answers take longer than news come, none would ever be shown.
  if ((known.again = Boolean(known.asking))) return;
  const answer = await (known.asking = fetch(`${element.dataset.chartUrl}?${new URLSearchParams(form ? new FormData(form) : "")}`).catch(() => null));
  const type = answer?.headers.get("Content-Type") ?? "", text = await answer?.text().catch(() => "") ?? "", there = element.isConnected;
  known.asking = null;
  if (there && (answer?.ok || !known.plot)) show(element, known.json = answer?.ok ? JSON.parse(text) : {}, answer?.ok ? "The curve appears after the first steps." : failureSentence(answer?.status ?? 0, type, text));
  if (there && known.again) load(element);
}
// What is hidden is loaded when it is seen. (What closed details hold has a width all the same.)
const resized = new ResizeObserver((entries) => { for (const { target } of entries) {
  const plot = charts.get(target)?.plot;
  if (plot) plot.setSize({ width: target.clientWidth, height: plot.height }); else if (target.checkVisibility() && charts.has(target)) load(target);
} });
const adopt = (element) => { charts.set(element, {}); element.addEventListener("job:event", () => element.checkVisibility() && load(element)); resized.observe(element); };
const asked = ({ target }) => { for (const element of charts.keys()) if (formOf(element) && formOf(element) === (target.form ?? target)) load(element); };
for (const name of ["change", "reset"]) document.addEventListener(name, (event) => setTimeout(asked, 0, event));
document.addEventListener("toggle", ({ target }) => { for (const element of charts.keys()) if (target.contains(element) && element.checkVisibility()) load(element); }, true);
const recolour = () => { for (const [element, known] of charts) if (known.plot) { known.shape = ""; show(element, known.json); } };
for (const [told, name] of [[document, "ui:theme"], [matchMedia("(prefers-color-scheme: dark)"), "change"]]) told.addEventListener(name, recolour);
htmx.onLoad(() => {
  for (const [element, { plot }] of charts) if (!element.isConnected) { plot?.destroy(); resized.unobserve(element); charts.delete(element); }
  for (const element of document.querySelectorAll("[data-chart-url]")) if (!charts.has(element)) adopt(element);
});
