// The network over time, step by step: the words go in from below, and then the gradient comes back.

import { h, legend } from "../lib/dom.js";

const [ROW, RADIUS, LEFT, TOP] = [88, 16, 8, 62];
const [LEAST_COLUMN, MOST_COLUMN] = [58, 96];
const [THIN, THICK, DECADES] = [0.8, 8, 6];

export class UnrolledNetwork {
  constructor({ signal } = {}) {
    this.picture = h("div", { class: "scroll unrolled" });
    this.caption = h("p", { class: "caption", "aria-live": "polite" });
    this.slider = h("input", {
      type: "range",
      min: "0",
      "aria-label": "Moment",
      on: { input: () => this.at(Number(this.slider.value)) },
    });
    this.play = h("button", { type: "button", on: { click: () => this.toggle() }, text: "Play" });
    this.element = h(
      "div",
      { class: "stack" },
      this.picture,
      this.caption,
      h("div", { class: "player" }, this.play, this.slider),
    );
    signal?.addEventListener("abort", () => clearInterval(this.timer));
  }

  /** Show what the view "unroll" of /v1/look returns. */
  set(network) {
    const steps = network.labels.length;
    this.network = network;
    this.layers = Object.entries(network.layers).map(([name, values]) => ({ name, ...values }));
    this.scale = widths(this.layers);
    const room = this.picture.clientWidth - 2 * LEFT;
    this.column = Math.min(Math.max(room / steps, LEAST_COLUMN), MOST_COLUMN);
    this.slider.max = String(2 * steps);
    this.at(2 * steps);
  }

  toggle() {
    const end = Number(this.slider.max);
    if (this.timer) return this.rest();
    if (this.moment >= end) this.at(0);
    this.play.textContent = "Pause";
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.timer = setInterval(
      () => (this.moment >= end ? this.rest() : this.at(this.moment + 1)),
      still ? 1600 : 700,
    );
    return undefined;
  }

  rest() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "Play";
  }

  /** Show a moment: from 0, a step is read at each; then the gradient comes back from the last to the first. */
  at(moment) {
    this.moment = moment;
    this.slider.value = String(moment);
    const steps = this.network.labels.length;
    const read = Math.min(moment, steps);
    const back = Math.max(2 * steps - moment, 0); // steps from this one on have their gradient
    this.slider.setAttribute("aria-valuetext", this.told(read, back));
    this.caption.textContent = this.told(read, back);
    this.picture.replaceChildren(this.drawing(read, moment > steps ? back : steps));
    // where there are more steps than room, the one that is told of stays in sight
    const step = moment > steps ? back : read - 1;
    this.picture.scrollLeft = this.column * (step + 0.5) - this.picture.clientWidth / 2;
  }

  told(read, back) {
    const { labels, answer } = this.network;
    const steps = labels.length;
    const top = this.layers.at(-1);
    if (!read) return "Before the first step: the hidden state is zero.";
    if (this.moment <= steps) {
      const said = read === steps && answer ? ` Its answer: ${answer}.` : "";
      return `Step ${read} of ${steps}: it reads “${labels[read - 1]}”. Strength of the state: ${top.strength[read - 1].toFixed(2)}.${said}`;
    }
    const first = this.layers[0];
    const size = first.through_input[back];
    return `Backwards: the gradient has reached “${labels[back]}”. At what is read there its size is ${size.toPrecision(2)}.`;
  }

  drawing(read, back) {
    const { labels, answer, begin } = this.network;
    const height = TOP + ROW * this.layers.length + 64;
    const width = 2 * LEFT + this.column * labels.length;
    const svg = h("svg:svg", {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": `The network over ${labels.length} steps`,
    });
    labels.forEach((label, step) => {
      this.layers.forEach((layer, row) => svg.append(...this.cell(layer, row, step, height, read, back)));
      const [x] = this.place(step, 0, height);
      const room = Math.floor(this.column / 7);
      const short = label.length > room ? `${label.slice(0, room - 1)}…` : label;
      svg.append(h("svg:text", { x, y: height - 14, class: step < read ? "step" : "step off", text: short }));
    });
    if (begin) svg.append(h("svg:text", { x: 12, y: height - 14, class: "step", text: "…" }));
    if (answer && read === labels.length)
      svg.append(h("svg:text", { x: width - 8, y: 22, class: "answer", text: answer }));
    return svg;
  }

  cell(layer, row, step, height, read, back) {
    const [x, y] = this.place(step, row, height);
    const reverse = layer.name.endsWith(" reverse");
    const seen = step < read;
    const flows = step >= back;
    const foot = row ? y + ROW - RADIUS : height - 32;
    const parts = [
      this.edge("w", `M${x} ${foot} V${y + RADIUS}`, flows ? layer.through_input[step] : 0, seen),
    ];
    const before = reverse ? step + 1 : step - 1;
    if (before >= 0 && before < this.network.labels.length) {
      const sign = reverse ? 1 : -1;
      parts.push(
        this.edge(
          "u",
          `M${x + sign * (this.column - RADIUS)} ${y} H${x + sign * RADIUS}`,
          flows ? layer.through_time[step] : 0,
          seen,
        ),
      );
    }
    if (row === this.layers.length - 1 && layer.from_above[step] > 0) {
      parts.push(
        this.edge("out", `M${x} ${y - RADIUS} V${y - RADIUS - 26}`, flows ? layer.from_above[step] : 0, seen),
      );
    }
    const strength = seen ? Math.min(Math.max(layer.strength[step], 0.06), 1) : 0;
    const told = `${layer.name}, “${this.network.labels[step]}”: strength ${layer.strength[step].toFixed(2)}`;
    parts.push(
      h(
        "svg:circle",
        { cx: x, cy: y, r: RADIUS, class: "state", "fill-opacity": strength },
        h("svg:title", { text: told }),
      ),
    );
    return parts;
  }

  place(step, row, height) {
    return [LEFT + this.column * (step + 0.5), height - 32 - (ROW - RADIUS) - ROW * row + RADIUS];
  }

  edge(kind, way, gradient, seen) {
    const width = gradient > 0 ? this.scale(gradient) : 1.2;
    const title = gradient > 0 ? [h("svg:title", { text: `gradient ${gradient.toPrecision(3)}` })] : [];
    return h(
      "svg:path",
      {
        d: way,
        class: `edge ${gradient > 0 ? kind : "plain"} ${seen ? "" : "off"}`,
        "stroke-width": width.toFixed(2),
      },
      ...title,
    );
  }
}

/** Return the width of an edge, by the logarithm of its gradient. */
function widths(layers) {
  const all = layers
    .flatMap((one) => [one.through_time, one.through_input, one.from_above].flat())
    .filter((value) => value > 0 && Number.isFinite(value));
  const largest = Math.max(...all, 1e-30);
  const least = Math.max(Math.min(...all, largest), largest * 10 ** -DECADES);
  if (least >= largest) return () => THICK;
  return (value) =>
    THIN + (THICK - THIN) * Math.min(Math.max(Math.log(value / least) / Math.log(largest / least), 0), 1);
}

export const unrolledLegend = () =>
  legend(
    [
      ["u", "U, through time"],
      ["w", "W, to what is read"],
      ["out", "output"],
    ],
    "The same weights at every step; thicker: more gradient.",
  );
