// Curves of a training from a JSON URL, drawn with uPlot: live, resized, in the theme's colours. Knows only arrays of numbers.

const { make, failureSentence } = window.isengard;
const charts = new Map();

// Canvas needs colours as values; the probe resolves what the class means in the theme of now.
function colour(element, name) {
  const probe = element.appendChild(make("span", { className: name }));
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
const asSeries = ([key, label, style = "line"]) => ({ key, label, style });
const seriesOf = (element) => element.dataset.chartSeries.split(",").map((text) => asSeries(text.split(":")));

function options(element) {
  const axis = { stroke: colour(element, "muted"), font: "12px Inter, sans-serif", ticks: { show: false } };
  const grid = { stroke: colour(element, "chart-grid"), width: 1 };
  return {
    width: element.clientWidth,
    height: element.dataset.chartHeight ? Number(element.dataset.chartHeight) : 240,
    scales: { x: { time: false } },
    cursor: { y: false, points: { size: 7 } },
    axes: [{ ...axis, grid: { show: false } }, { ...axis, grid, size: 56 }],
    series: [{ label: "Step", value: (_, value) => value ?? "–" }, ...seriesOf(element).map(({ label, style }) => ({
      label, stroke: colour(element, `chart-${style}`), width: style === "faint" ? 1 : 2, points: { show: false },
      value: (_, value) => (value === null || value === undefined ? "–" : Number(value.toPrecision(4)).toString()),
    }))],
  };
}
function show(element, data, words) {
  const known = charts.get(element)?.plot;
  if (known && data) return known.setData(data);
  known?.destroy();
  element.replaceChildren(...(data ? [] : [make("p", { className: "chart-note", textContent: words })]));
  charts.set(element, { data, plot: data && new uPlot(options(element), data, element) });
}
async function load(element) {
  const answer = await fetch(element.dataset.chartUrl).catch(() => null), type = answer?.headers.get("Content-Type") ?? "";
  const text = await answer?.text() ?? "";
  if (!element.isConnected) return;
  if (!answer?.ok) return charts.get(element).plot || show(element, null, failureSentence(answer?.status ?? 0, type, text));
  const json = JSON.parse(text), columns = seriesOf(element).map(({ key }) => json[key] ?? json.steps.map(() => null));
  show(element, json.steps.length < 2 ? null : [json.steps, ...columns], "The curve appears after the first steps.");
}

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const plot = charts.get(target)?.plot;
    plot?.setSize({ width: target.clientWidth, height: plot.height });
  }
});
function adopt(element) {
  if (charts.has(element)) return;
  charts.set(element, {});
  element.addEventListener("job:event", () => load(element));
  resized.observe(element);
  load(element);
}
const redraw = (element, { plot, data }) => { plot.destroy(); charts.set(element, {}); show(element, data); };
const recolour = () => { for (const [element, known] of charts) if (known.plot) redraw(element, known); };
document.addEventListener("ui:theme", recolour);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
htmx.onLoad(() => {
  for (const [element, { plot }] of charts) if (!element.isConnected) { plot?.destroy(); resized.unobserve(element); charts.delete(element); }
  document.querySelectorAll("[data-chart-url]").forEach(adopt);
});
