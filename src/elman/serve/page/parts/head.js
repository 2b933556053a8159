// The head of a view: its title, what it does, and which model does it.

import { h, number, percent } from "../lib/dom.js";
import { address } from "../lib/place.js";

export function heading(title, text, ...more) {
  return h(
    "header",
    { class: "view-head" },
    h("div", {}, h("h1", { text: title }), h("p", { class: "lead", text })),
    ...more,
  );
}

/** Choose among the models of a task; the address says which. */
export function chooser(context) {
  const { models, model, view } = context;
  if (models.length < 2)
    return h("p", { class: "model-name" }, h("span", { class: "soft", text: "Model " }), model.id);
  const select = h(
    "select",
    {
      id: "model",
      on: {
        change: () => {
          location.hash = address(view, select.value);
        },
      },
    },
    ...models.map((one) => h("option", { value: one.id, text: one.id, selected: one.id === model.id })),
  );
  return h("p", { class: "model-name" }, h("label", { for: "model", class: "soft", text: "Model " }), select);
}

const rounded = (value) => String(Number(value.toPrecision(3)));

// The score of each task, how it is written, and what it is.
const SCORES = {
  classify: ["accuracy", percent, "right"],
  generate: ["perplexity", number, "perplexity"],
  translate: ["bleu", number, "BLEU"],
  chat: ["hits", percent, "of replies found"],
  transcribe: ["wer", percent, "of words wrong"],
  forecast: ["mase", number, "MASE"],
};

/** The score on held-out data (of a model that comes with elman, the one that `elman models` tells), and that of the best plain baseline: ["87 % right", "bag of words: 83 %"]. */
export function scoreLine({ task, scores, score: known }) {
  if (known)
    return [
      `${known.label}${known.lower_is_better ? " ↓" : ""} ${rounded(known.value)}`,
      `${known.baseline}: ${rounded(known.baseline_value)}, on ${known.tested_on}`,
    ];
  const [name, format, unit] = SCORES[task] || [];
  const value = scores?.scores?.[name];
  if (value === undefined || value === null) return [];
  const beside = { ...(scores.baselines || {}) };
  if (scores.baseline) beside.baseline = scores.baseline;
  const others = Object.entries(beside).filter(
    ([kind, each]) => kind !== "network" && each?.[name] !== undefined && each[name] !== null,
  );
  const lower = ["perplexity", "wer", "mase"].includes(name);
  others.sort((a, b) => (lower ? a[1][name] - b[1][name] : b[1][name] - a[1][name]));
  const own = `${format(value)} ${unit}`;
  return others.length ? [own, `${others[0][0]}: ${format(others[0][1][name])}`] : [own];
}
