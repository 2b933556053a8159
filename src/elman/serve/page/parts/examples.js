// The live examples of the lesson. Each fills an element, given the sentence and what to ask the model with.

import { Chart } from "../draw/chart.js";
import { HeatMap } from "../draw/heat.js";
import { UnrolledNetwork, unrolledLegend } from "../draw/unrolled.js";
import { h, legend, percent } from "../lib/dom.js";
import { showBars } from "./bars.js";
import { oneOf } from "./choice.js";

const SHUFFLES = 6;

/** What a model says of a text, as pairs of an answer and its probability. */
function pairs(task, answer) {
  if (task === "classify") return Object.entries(answer.probabilities);
  return (answer.words ?? answer).map((one) => (Array.isArray(one) ? one : [one.word, one.probability]));
}

function shuffled(text, seed) {
  const words = text.split(/\s+/);
  let state = seed * 2654435761;
  for (let k = words.length - 1; k > 0; k -= 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (k + 1);
    [words[k], words[other]] = [words[other], words[k]];
  }
  return words.join(" ");
}

export async function order(element, { text, task, predict }) {
  const other = text
    .split(/\s+/)
    .sort((a, b) => a.localeCompare(b))
    .join(" ");
  const answers = await predict([text, other]);
  element.replaceChildren(
    h(
      "div",
      { class: "pair" },
      ...[text, other].map((one, k) => {
        const list = h("ul", { class: "bars" });
        showBars(list, pairs(task, answers[k]), { most: 3 });
        return h("div", {}, h("p", { class: "quote", text: one }), list);
      }),
    ),
    h("p", { class: "soft", text: "To a bag of words both are the same." }),
  );
}

export async function shuffles(element, { text, task, predict }) {
  const texts = [text, ...Array.from({ length: SHUFFLES }, (_, k) => shuffled(text, k + 1))];
  const answers = await predict(texts);
  const rows = answers.map((answer, k) => {
    const [best, share] = pairs(task, answer).reduce((a, b) => (b[1] > a[1] ? b : a));
    return h(
      "tr",
      {},
      h("td", { class: "quote", text: texts[k] }),
      h("td", { text: best }),
      h("td", { class: "number", text: percent(share) }),
    );
  });
  element.replaceChildren(
    h(
      "div",
      { class: "scroll", tabindex: "0" },
      h(
        "table",
        { class: "wide" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...["Words in this order", "Answer", "Probability"].map((name) =>
              h("th", { scope: "col", text: name }),
            ),
          ),
        ),
        h("tbody", {}, ...rows),
      ),
    ),
  );
}

export async function state(element, { look, signal }) {
  const { states } = await look(["states"]);
  const layer = states.at(-1);
  const map = new HeatMap("Hidden state", { signal });
  element.replaceChildren(
    map.element,
    legend(
      [["ramp-state", "−1 to 1"]],
      `${layer.layer}: ${layer.units.length} of ${layer.of} units, a row each.`,
    ),
  );
  map.set({ labels: layer.labels, units: layer.units, values: Object.values(layer.maps)[0] });
}

export async function reading(element, { look, signal }) {
  const seen = await look(["reading"]);
  if (!seen.reading) {
    element.replaceChildren(
      h("p", { class: "soft", text: "This model’s input can’t be cut into its beginnings." }),
    );
    return;
  }
  const { labels, scores, first, scored } = seen.reading;
  const largest = Math.max(
    1e-9,
    ...scores
      .flat()
      .filter((value) => value !== null)
      .map(Math.abs),
  );
  const map = new HeatMap("What each word adds to the answer while it is read", {
    signal,
    rows: "after step",
    rowHeight: 22,
  });
  element.replaceChildren(
    map.element,
    legend(
      [["ramp-state", `−${largest.toFixed(1)} to ${largest.toFixed(1)}`]],
      `Answer: ${seen.answer}. Rows: after which word; columns: what a word adds, in ${scored}.`,
    ),
  );
  map.set({
    labels,
    units: scores.map((_, row) => first + row),
    rowLabels: scores.map((_, row) => `… ${labels[first + row]}`),
    values: labels.map((_, step) => scores.map((row) => row[step] ?? 0)),
    low: -largest,
    high: largest,
  });
}

export async function unrolled(element, { look, signal }) {
  const { unroll } = await look(["unroll"]);
  const network = new UnrolledNetwork({ signal });
  element.replaceChildren(network.element, unrolledLegend());
  network.set(unroll);
}

export async function vanishing(element, { look, signal }) {
  const { horizon, flow } = await look(["horizon", "flow"]);
  const curves = flow.flatMap((one) =>
    Object.entries(one.norms).map(([name, values]) => ({
      label: `${one.layer}, ${name}`,
      values,
      labels: one.labels,
    })),
  );
  const length = Math.max(...curves.map((one) => one.values.length));
  const colours = ["accent", "for", "against", "soft"];
  const chart = new Chart("The gradient at each word", {
    lines: curves.map((one, k) => ({ label: one.label, colour: colours[k % colours.length], points: true })),
    log: true,
    height: 220,
    zoom: false,
    signal,
    labels: curves.find((one) => one.values.length === length).labels,
  });
  const readout = h("p", { class: "readout", text: " " });
  chart.onPoint = (step) => {
    readout.textContent =
      step === null || step === undefined
        ? " "
        : `“${curves[0].labels[step]}”: ${curves[0].values[step].toPrecision(2)}`;
  };
  element.replaceChildren(
    ...horizon.text.split("\n").map((line) => h("p", { class: "finding", text: `Memory of ${line}` })),
    chart.element,
    readout,
    h("p", {
      class: "soft",
      text: `From “${curves[0].labels[0]}” on the left to “${curves[0].labels.at(-1)}”; the scale is logarithmic.`,
    }),
  );
  chart.set([
    Array.from({ length }, (_, step) => step),
    ...curves.map((one) =>
      Array.from({ length }, (_, step) => (one.values[step] > 0 ? one.values[step] : null)),
    ),
  ]);
}

export async function gates(element, { look, signal }) {
  const { gates: layers } = await look(["gates"]);
  const layer = layers.at(-1);
  const names = Object.keys(layer.maps);
  if (!names.length) {
    element.replaceChildren(h("p", { class: "soft", text: "The cell of this model has no gates." }));
    return;
  }
  const keeping = names.find((name) => name === "f" || name === "z") ?? names[0];
  const map = new HeatMap("Gates", { signal });
  const draw = (name) => {
    const values = layer.maps[name];
    map.set({
      labels: layer.labels,
      units: layer.units,
      values,
      low: values.flat().some((value) => value < 0) ? -1 : 0,
      high: 1,
    });
  };
  element.replaceChildren(oneOf("Gate", names, keeping, draw, "Gate"), map.element);
  draw(keeping);
}
