// A forecast as it is drawn: history, median, bands, the naive forecast, and a second one beside it.

import { Chart } from "../draw/chart.js";
import { h, number } from "../lib/dom.js";

const PAST_HORIZONS = 6; // that are seen at first

/** "2024-03-01 05:00" → seconds; a whole number of a step stays one. */
export function moment(stamp) {
  if (/^-?\d+$/.test(stamp)) return Number(stamp);
  const text = stamp.replace(" ", "T");
  return (
    Date.parse(
      /T.*(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}${text.includes("T") ? "Z" : "T00:00Z"}`,
    ) / 1000
  );
}

export const isTime = (stamp) => !/^-?\d+$/.test(stamp);

export class ForecastChart {
  constructor(levels, naive, { time, signal, height }) {
    this.pairs = levels.slice(0, Math.floor(levels.length / 2)).map((low, k) => [low, levels.at(-1 - k)]);
    this.levels = levels;
    this.naive = naive;
    const share = (low, high) => `${Math.round(100 * (high - low))} % band`;
    const lines = [
      { label: "history", colour: "ink", width: 1.25 },
      { label: naive, colour: "soft", dash: [5, 4], width: 1.25 },
      ...this.pairs.flatMap(([low, high]) => [
        { label: share(low, high), colour: "band", width: 0, fill: true },
        { label: "", colour: "accent", width: 0 },
      ]),
      { label: "forecast", colour: "accent", width: 2 },
      { label: "moved", colour: "against", width: 2, optional: true },
    ];
    const bands = this.pairs.map((_, k) => ({
      series: [4 + 2 * k, 3 + 2 * k],
      colour: "accent",
      share: 0.16,
    }));
    this.chart = new Chart("History and forecast", { lines, bands, time, signal, height });
    this.element = this.chart.element;
    this.readout = h("p", { class: "readout", text: " " });
    this.element.append(this.readout);
  }

  /** Show what /v1/chart returns, and the medians of a second forecast if there is one. */
  set(seen, moved = null, keepZoom = false) {
    const { past, ahead } = seen;
    const x = [...past.ds, ...ahead.ds].map(moment);
    const n = past.ds.length;
    const before = (values) => [...values, ...ahead.ds.map(() => null)];
    const last = past.value.findLastIndex((value) => value !== null);
    // a line begins at the last known value, so that it has no gap
    const after = (values, joined = true) => [
      ...past.value.map((value, k) => (joined && k === last ? value : null)),
      ...values,
    ];
    const middle = this.levels.find((level) => Number(level) === 0.5);
    this.seen = seen;
    this.moved = moved;
    this.chart.set(
      [
        x,
        before(past.value),
        after(ahead.naive[this.naive]),
        ...this.pairs.flatMap(([low, high]) => [after(ahead.quantiles[low]), after(ahead.quantiles[high])]),
        after(ahead.quantiles[middle]),
        moved ? after(moved) : x.map(() => null),
      ],
      { from: x[Math.max(0, n - PAST_HORIZONS * ahead.ds.length)], keepZoom },
    );
    this.chart.onPoint = (k) => this.tell(k, n, middle);
  }

  tell(k, n, middle) {
    const { past, ahead } = this.seen;
    if (k === null || k === undefined) this.readout.textContent = " ";
    else if (k < n) this.readout.textContent = `${past.ds[k]}: ${number(past.value[k], 5)}`;
    else {
      const [low, high] = this.pairs[0] ?? [middle, middle];
      const step = k - n;
      const other = this.moved ? `; moved ${number(this.moved[step], 5)}` : "";
      this.readout.textContent = `${ahead.ds[step]}: ${number(ahead.quantiles[middle][step], 5)}, from ${number(ahead.quantiles[low][step], 5)} to ${number(ahead.quantiles[high][step], 5)}; ${this.naive} ${number(ahead.naive[this.naive][step], 5)}${other}`;
    }
  }
}

/** The forecast as a table, for those who read numbers. */
export function forecastTable(seen, naive) {
  const { ahead } = seen;
  const levels = Object.keys(ahead.quantiles);
  const cell = (tag, text) => h(tag, { text, ...(tag === "th" ? { scope: "col" } : {}) });
  const rows = ahead.ds.map((stamp, k) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", text: stamp }),
      ...levels.map((level) => cell("td", number(ahead.quantiles[level][k], 5))),
      cell("td", number(ahead.naive[naive][k], 5)),
    ),
  );
  const head = h(
    "tr",
    {},
    cell("th", seen.columns.time ?? "step"),
    ...levels.map((level) => cell("th", `${Math.round(1000 * Number(level)) / 10} %`)),
    cell("th", naive),
  );
  return h(
    "details",
    {},
    h("summary", { text: "As a table" }),
    h(
      "div",
      { class: "scroll", tabindex: "0" },
      h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows)),
    ),
  );
}
