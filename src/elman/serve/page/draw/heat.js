// A heat map on a canvas: a column for each step, a row for each unit.

import { colour, onTheme, ramp } from "../lib/colours.js";
import { h } from "../lib/dom.js";

const LEAST_CELL = 4; // pixels: of more steps than fit, the map scrolls
const MOST_CELL = 200;
const LABELLED_CELL = 15; // from which there is room for a label, upright
const FONT = "12px system-ui, sans-serif";

export class HeatMap {
  /** `name`: what is shown, for those who can't see it. */
  constructor(name, { signal, rows = "unit", rowHeight = 0 } = {}) {
    this.name = name;
    this.rows = rows;
    this.fixedRow = rowHeight;
    this.canvas = h("canvas", { tabindex: "0", role: "img", class: "heat" });
    this.readout = h("p", { class: "readout", "aria-live": "polite" });
    this.scroller = h("div", { class: "scroll" }, this.canvas);
    this.element = h("div", { class: "map" }, this.scroller, this.readout);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.show(null));
    this.canvas.addEventListener("keydown", (event) => this.move(event));
    this.canvas.addEventListener("blur", () => this.show(null));
    onTheme(() => this.draw(), signal);
    const resized = new ResizeObserver(() => this.draw());
    resized.observe(this.scroller);
    signal?.addEventListener("abort", () => resized.disconnect());
  }

  /** Show values[step][row], from `low` to `high`, with the steps' labels and the rows' names. */
  set({ labels, units, values, low = -1, high = 1, rowLabels = null, mark = null }) {
    Object.assign(this, { labels, units, values, low, high, rowLabels, marked: mark });
    this.cursor = null;
    const about = `${this.name}: ${labels.length} steps, ${units.length} rows, from ${low} to ${high}`;
    this.canvas.setAttribute("aria-label", `${about}. Arrow keys read the cells.`);
    this.show(null);
  }

  layout() {
    const room = this.scroller.clientWidth;
    const steps = this.labels.length;
    const context = this.canvas.getContext("2d");
    context.font = FONT;
    const widest = (texts) => Math.max(0, ...texts.map((text) => context.measureText(text).width));
    this.left = this.rowLabels ? Math.min(widest(this.rowLabels), 140) + 8 : 0;
    this.cell = Math.min(Math.max((room - this.left) / steps, LEAST_CELL), MOST_CELL);
    this.row = this.fixedRow || Math.min(Math.max(Math.floor(288 / this.units.length), 4), 18);
    const longest = widest(this.labels.map((label) => label.slice(0, 16)));
    this.flat = longest + 8 < this.cell;
    // an inclined label reaches to the left of its column
    if (!this.flat)
      this.left = Math.max(this.left, Math.min(widest(this.labels.slice(0, 3)), 110) * 0.62 - this.cell / 2);
    this.foot = this.flat ? 22 : Math.min(longest, 110) * 0.78 + 16;
    this.width = Math.max(Math.ceil(this.left + this.cell * steps), 40) + (this.flat ? 0 : 2);
    this.height = this.row * this.units.length + this.foot;
  }

  draw() {
    if (!this.labels || !this.scroller.clientWidth) return;
    this.layout();
    const { canvas, cell, row } = this;
    const sharp = window.devicePixelRatio || 1;
    canvas.width = this.width * sharp;
    canvas.height = this.height * sharp;
    canvas.style.width = `${this.width}px`;
    canvas.style.height = `${this.height}px`;
    const context = canvas.getContext("2d");
    context.scale(sharp, sharp);
    const colours = this.low < 0 ? ramp("against", "paper-deep", "for") : ramp("paper-deep", "accent");
    this.values.forEach((column, step) => {
      column.forEach((value, unit) => {
        const place = (value - this.low) / (this.high - this.low);
        const [red, green, blue] = colours[Math.round(255 * Math.min(Math.max(place, 0), 1))];
        context.fillStyle = `rgb(${red}, ${green}, ${blue})`;
        context.fillRect(
          this.left + step * cell,
          unit * row,
          Math.ceil(cell) - (cell > 8 ? 1 : 0),
          row - (row > 7 ? 1 : 0),
        );
      });
    });
    this.write(context);
    if (this.cursor) this.outline(context);
  }

  write(context) {
    context.font = FONT;
    context.fillStyle = colour("soft");
    const bottom = this.row * this.units.length;
    const every = Math.ceil(LABELLED_CELL / this.cell);
    this.labels.forEach((label, step) => {
      if (step % every && step !== this.marked) return;
      const short = label.length > 16 ? `${label.slice(0, 15)}…` : label;
      const middle = this.left + (step + 0.5) * this.cell;
      if (this.flat) {
        context.textAlign = "center";
        context.fillText(short, middle, bottom + 15);
        return;
      }
      context.save();
      context.translate(middle + 3, bottom + 9);
      context.rotate(-0.9);
      context.textAlign = "right";
      context.fillText(short, 0, 4);
      context.restore();
    });
    if (!this.rowLabels) return;
    context.textAlign = "right";
    this.rowLabels.forEach((label, unit) => {
      context.fillText(label, this.left - 8, (unit + 0.5) * this.row + 4, this.left - 8);
    });
  }

  outline(context) {
    const { step, unit } = this.cursor;
    context.strokeStyle = colour("ink");
    context.lineWidth = 1.5;
    context.strokeRect(
      this.left + step * this.cell,
      unit * this.row,
      Math.max(this.cell - 1, 3),
      Math.max(this.row - 1, 3),
    );
  }

  point(event) {
    const step = Math.floor((event.offsetX - this.left) / this.cell);
    const unit = Math.floor(event.offsetY / this.row);
    const inside = this.values?.[step] !== undefined && unit >= 0 && unit < this.units.length;
    this.show(inside ? { step, unit } : null);
  }

  move(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (!way || !this.labels?.length) return;
    event.preventDefault();
    const { step, unit } = this.cursor || { step: this.labels.length - 1 - way[0], unit: -way[1] };
    const within = (value, count) => Math.min(Math.max(value, 0), count - 1);
    this.show({
      step: within(step + way[0], this.labels.length),
      unit: within(unit + way[1], this.units.length),
    });
  }

  show(cursor) {
    this.cursor = cursor;
    this.draw();
    if (!cursor || !this.values) {
      this.readout.textContent = " ";
      return;
    }
    const { step, unit } = cursor;
    const row = this.rowLabels ? `“${this.rowLabels[unit]}”` : `${this.rows} ${this.units[unit]}`;
    this.readout.textContent = `“${this.labels[step]}”, ${row}: ${this.values[step][unit].toFixed(2)}`;
  }
}
