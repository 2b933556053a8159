// Lines over time on uPlot, in the page's colours, with zoom by mouse and by keyboard.

import { colour, onTheme } from "../lib/colours.js";
import { h } from "../lib/dom.js";

const FONT = "12px system-ui, sans-serif";
// From a distance between ticks in seconds on: the tick, and what is added where the year or the day changes.
const DATES = [
  [31536000, "{YYYY}", null, null, null, null, null, null, 1],
  [2419200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
];

/** The room that the numbers beside an axis need. */
function roomFor(plot, values) {
  const longest = Math.max(0, ...(values ?? []).map((value) => String(value ?? "").length));
  return 18 + 7 * longest;
}

export class Chart {
  /**
   * `lines`: of each its `label`, the `colour` of the stylesheet, and if it has them `dash`, `width`, `fill`.
   * `optional` ones are in the legend only while they have values. `labels`: of the steps 0, 1, … of x.
   * `bands`: pairs of lines between which is filled: {series: [upper, lower], colour, share}.
   */
  constructor(
    name,
    { lines, bands = [], height = 300, time = false, log = false, zoom = true, signal, labels = null },
  ) {
    Object.assign(this, { name, lines, bands, height, time, log, labels });
    this.picture = h("div", { class: "chart", role: "img", "aria-label": name });
    this.bar = zoom ? this.buttons() : null;
    this.legend = h("ul", { class: "legend" });
    this.element = h(
      "div",
      { class: "stack" },
      h("div", { class: "chart-head" }, this.legend, this.bar),
      this.picture,
    );
    onTheme(() => this.rebuild(), signal);
    const resized = new ResizeObserver(() => this.fit());
    resized.observe(this.picture);
    this.end = () => {
      resized.disconnect();
      this.plot?.destroy();
      this.plot = null;
      this.data = null;
    };
    signal?.addEventListener("abort", this.end);
  }

  buttons() {
    const button = (text, label, call) =>
      h("button", {
        type: "button",
        class: "plain",
        "aria-label": label,
        title: label,
        text,
        on: { click: call },
      });
    return h(
      "div",
      { class: "zoom", role: "group", "aria-label": "Zoom" },
      button("←", "Earlier", () => this.shift(-0.4)),
      button("→", "Later", () => this.shift(0.4)),
      button("+", "Closer", () => this.scale(0.5)),
      button("−", "Wider", () => this.scale(2)),
      button("All", "Everything", () => this.whole()),
    );
  }

  /** Show columns: x first, then a column for each line; `from`: the x at which the view begins. */
  set(data, { from = null, keepZoom = false } = {}) {
    this.data = data;
    const range = keepZoom && this.plot ? { min: this.plot.scales.x.min, max: this.plot.scales.x.max } : null;
    const wasWhole = range && this.ends && range.min <= this.ends[0] && range.max >= this.ends[1];
    const [first, last] = [data[0][0], data[0].at(-1)];
    this.ends = last > first ? [first, last] : [first - 1, first + 1]; // a scale needs a length
    if (!data[0].length) return;
    if (!this.plot) this.rebuild();
    else this.plot.setData(data, false);
    if (!this.plot) return;
    this.tell();
    if (range && !wasWhole && range.min !== null) this.plot.setScale("x", range);
    else if (from !== null && from > this.ends[0]) this.plot.setScale("x", { min: from, max: this.ends[1] });
    else this.whole();
  }

  rebuild() {
    if (!this.data || !this.picture.clientWidth) return;
    const scale = this.plot && { min: this.plot.scales.x.min, max: this.plot.scales.x.max };
    this.plot?.destroy();
    this.plot = new window.uPlot(this.options(), this.data, this.picture);
    if (scale) this.plot.setScale("x", scale);
    this.tell();
  }

  tell() {
    const shown = this.lines.filter(
      (one, k) => one.label && !(one.optional && this.data[k + 1].every((value) => value === null)),
    );
    this.legend.replaceChildren(...shown.map((one) => h("li", {}, this.swatch(one), one.label)));
  }

  swatch(one) {
    const mark = h("span", { class: one.fill ? "swatch area" : one.dash ? "swatch dashed" : "swatch" });
    mark.style.color = `var(--${one.colour})`;
    return mark;
  }

  options() {
    const axis = {
      stroke: colour("soft"),
      font: FONT,
      grid: { stroke: colour("line"), width: 1 },
      ticks: { stroke: colour("line"), width: 1, size: 4 },
    };
    const numbers = (_, values) =>
      values.map((value) => (value === null ? "" : Number(value.toPrecision(6)).toLocaleString("en")));
    return {
      width: this.picture.clientWidth,
      height: this.height,
      tzDate: (stamp) => window.uPlot.tzDate(new Date(stamp * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { drag: { x: true, y: false }, points: { size: 7 } },
      scales: { x: { time: this.time }, y: this.log ? { distr: 3 } : {} },
      axes: [
        { ...axis, ...this.across(numbers) },
        { ...axis, size: roomFor, values: this.log ? undefined : numbers },
      ],
      series: [{}, ...this.lines.map((one) => this.line(one))],
      bands: this.bands.map(({ series, colour: name, share }) => ({ series, fill: colour(name, share) })),
      hooks: { setCursor: [(plot) => this.point(plot)] },
    };
  }

  /** The axis of x: dates, words, or numbers. */
  across(numbers) {
    if (this.time) return { space: 70, size: 46, values: DATES };
    const { labels } = this;
    if (!labels) return { space: 70, size: 30, values: numbers };
    const short = (label) => (label.length > 12 ? `${label.slice(0, 11)}…` : label);
    const words = (_, values) =>
      values.map((value) => (Number.isInteger(value) ? short(labels[value] ?? "") : ""));
    const longest = Math.max(...labels.map((label) => Math.min(label.length, 12)));
    return { space: 7 * longest + 12, size: 30, values: words };
  }

  line(one) {
    return {
      label: one.label,
      stroke: one.width === 0 ? undefined : colour(one.colour),
      width: one.width ?? 1.5,
      dash: one.dash,
      points: { show: Boolean(one.points), size: 6, fill: colour(one.colour) },
      spanGaps: one.spanGaps ?? false,
    };
  }

  point(plot) {
    if (this.onPoint) this.onPoint(plot.cursor.idx);
  }

  fit() {
    if (!this.plot) this.rebuild();
    else if (this.picture.clientWidth)
      this.plot.setSize({ width: this.picture.clientWidth, height: this.height });
  }

  whole() {
    this.plot?.setScale("x", { min: this.ends[0], max: this.ends[1] });
  }

  scale(factor) {
    const { min, max } = this.plot.scales.x;
    const half = ((max - min) / 2) * factor;
    this.within((min + max) / 2 - half, (min + max) / 2 + half);
  }

  shift(share) {
    const { min, max } = this.plot.scales.x;
    const most = share < 0 ? this.ends[0] - min : this.ends[1] - max;
    const by = share < 0 ? Math.max((max - min) * share, most) : Math.min((max - min) * share, most);
    this.within(min + by, max + by);
  }

  within(min, max) {
    this.plot.setScale("x", { min: Math.max(min, this.ends[0]), max: Math.min(max, this.ends[1]) });
  }
}
