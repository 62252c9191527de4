// Curves of a training from a JSON URL, drawn with uPlot: live, resized, in the theme's colours. Knows only arrays of numbers.

const { make, request } = window.isengard;
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

function options(element, series) {
  const axis = { stroke: colour(element, "muted"), font: "12px Inter, sans-serif", ticks: { show: false } };
  const grid = { stroke: colour(element, "chart-grid"), width: 1 };
  return {
    width: element.clientWidth,
    height: element.dataset.chartHeight ? Number(element.dataset.chartHeight) : 240,
    scales: { x: { time: false } },
    cursor: { y: false, points: { size: 7 } },
    axes: [{ ...axis, grid: { show: false } }, { ...axis, grid, size: 56 }],
    series: [{ label: "Step", value: (_, value) => value ?? "–" }, ...series.map(({ label, style }) => ({
      label, stroke: colour(element, `chart-${style}`), width: style === "faint" ? 1 : 2, points: { show: false },
      value: (_, value) => (value === null || value === undefined ? "–" : Number(value.toPrecision(4)).toString()),
    }))],
  };
}
function note(element, text) {
  charts.get(element)?.plot?.destroy();
  charts.set(element, { data: null });
  element.replaceChildren(make("p", { className: "chart-note", textContent: text }));
}
function draw(element, data) {
  const known = charts.get(element);
  if (!known?.plot) element.replaceChildren();
  const plot = known?.plot ?? new uPlot(options(element, seriesOf(element)), data, element);
  plot.setData(data);
  charts.set(element, { plot, data });
}

async function load(element) {
  const answer = request(element.dataset.chartUrl, { headers: { Accept: "application/json" } }).then((response) => response.json());
  const json = await answer.catch((error) => { if (!charts.get(element)?.data) note(element, error.message); });
  if (!json || !element.isConnected) return;
  if (json.steps.length < 2) note(element, "The curve appears after the first steps.");
  else draw(element, [json.steps, ...seriesOf(element).map(({ key }) => json[key] ?? json.steps.map(() => null))]);
}

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const plot = charts.get(target)?.plot;
    if (plot) plot.setSize({ width: target.clientWidth, height: plot.height });
  }
});

function adopt(element) {
  if (charts.has(element)) return;
  charts.set(element, { data: null });
  element.addEventListener("job:event", () => load(element));
  resized.observe(element);
  load(element);
}
function forget() {
  for (const [element, { plot }] of charts) {
    if (element.isConnected) continue;
    plot?.destroy();
    resized.unobserve(element);
    charts.delete(element);
  }
}

function recolour() {
  for (const [element, { plot, data }] of charts) {
    if (!plot) continue;
    plot.destroy();
    charts.set(element, { data });
    draw(element, data);
  }
}

document.addEventListener("ui:theme", recolour);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
htmx.onLoad((node) => {
  forget();
  for (const element of node.querySelectorAll("[data-chart-url]")) adopt(element);
  if (node.matches("[data-chart-url]")) adopt(node);
});
