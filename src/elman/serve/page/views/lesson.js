// The lesson: each of its sections with a live example from the models of this server.

import { look, predict } from "../lib/api.js";
import { h, problem, resting } from "../lib/dom.js";
import { address, keep, kept } from "../lib/place.js";
import { heading } from "../parts/head.js";
import * as live from "../parts/examples.js";

const FIRST = "The movie which I watched last year in London was not good";
const PAUSE = 400;
const READS = ["classify", "generate"]; // tasks whose models read a sentence

const SECTIONS = [
  [
    "Sequences: order is part of the data",
    "A network that is given which words occur, and how often, can't tell a sentence from the same words in another order: both are the same bag of words. A recurrent network reads one word at a time, and order leaves a trace.",
    live.order,
  ],
  [
    "A recurrent network beside a feed-forward one",
    "Shuffle the words again and again: a feed-forward network on counts gives all of these the same answer. This one does not.",
    live.shuffles,
  ],
  [
    "The hidden state is the memory",
    "At each step the network combines what it reads with what it remembers: hₜ = f(W xₜ + U hₜ₋₁). All it knows of the past is in these numbers, a column for each word.",
    live.state,
  ],
  [
    "“The movie was not good”",
    "Each row is the moment after a word was read, and shows what every word so far adds to the answer then. A word may count for little when it is read, and for much once another comes.",
    live.reading,
  ],
  [
    "Unrolled: one network, used at every step",
    "Drawn over time it looks like a deep network with a layer for every word. It is the same layer each time: one W and one U. Play it: the words go in, and then the gradient comes back.",
    live.unrolled,
  ],
  [
    "The gradient that vanishes",
    "Training goes backward through all words (backpropagation through time), and at each step the gradient is multiplied by the step’s derivative. Below 1, it vanishes: how far back can this network learn?",
    live.vanishing,
  ],
  [
    "LSTM and GRU: gates that keep",
    "An Elman network rewrites its state at every step. Gates decide, unit by unit, what to keep: where f (or z) is near 1, the state stays as it is, and so does the gradient.",
    live.gates,
  ],
];
const USES = {
  classify: ["Sentiment", "text"],
  generate: ["Next word and writing", "writing"],
  translate: ["Translation", "translation"],
  chat: ["Chatbots", "chat"],
  transcribe: ["Speech", "speech"],
  forecast: ["Stocks, weather and sales", "series"],
};

export async function show(root, context) {
  const { all, params, signal, place, note } = context;
  const models = all
    .filter((one) => READS.includes(one.task))
    .sort((a, b) => READS.indexOf(a.task) - READS.indexOf(b.task));
  const failed = problem();
  const model = models.find((one) => one.id === params.model) ?? models[0];
  const field = h("input", { id: "sentence", type: "text", maxlength: "400", autocomplete: "off" });
  field.value = params.text ?? kept("lesson.text", FIRST);
  const select = h(
    "select",
    { id: "model", on: { change: changed } },
    ...models.map((one) => h("option", { value: one.id, text: one.id, selected: one === model })),
  );
  const parts = SECTIONS.map(([title, text, make], k) => section(k + 1, title, text, make));
  root.append(
    heading(
      "Lesson",
      "What a recurrent network is, in eight sections. Every example is computed now, by the model and for the sentence below.",
    ),
    models.length
      ? h(
          "div",
          { class: "panel lesson-bar" },
          h("div", { class: "field" }, h("label", { for: "sentence", text: "A sentence" }), field),
          h("div", { class: "field" }, h("label", { for: "model", text: "Model" }), select),
        )
      : h("p", {
          class: "note",
          text: "The live examples need a model that reads texts: elman train classify, or elman train generate.",
        }),
    failed.element,
    ...parts.map((part) => part.element),
    uses(all),
  );
  field.addEventListener("input", resting(PAUSE, changed));
  if (!models.length) return;

  // an example is computed when it is first seen, and again when the sentence has changed
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const part = parts.find((one) => one.element === entry.target);
        part.seen = entry.isIntersecting;
        if (part.seen) refresh(part);
      }
    },
    { rootMargin: "200px" },
  );
  for (const part of parts) watcher.observe(part.element);
  signal.addEventListener("abort", () => watcher.disconnect());

  function changed() {
    keep("lesson.text", field.value);
    note({ text: field.value, model: select.value === models[0].id ? "" : select.value });
    for (const part of parts.filter((one) => one.seen)) refresh(part);
  }

  async function refresh(part) {
    const text = field.value.trim();
    const wanted = `${select.value} ${text}`;
    if (!text || part.shown === wanted) return;
    part.shown = wanted;
    try {
      const chosen = models.find((one) => one.id === select.value);
      await part.make(part.body, {
        text,
        signal,
        task: chosen.task,
        look: (views) => look(chosen.id, [text], views, signal),
        predict: (texts) => predict(chosen.id, texts, {}, signal),
      });
      part.failed.clear();
    } catch (error) {
      part.shown = null;
      part.failed.show(error);
    }
  }

  if (place.params.section) parts[Number(place.params.section) - 1]?.element.scrollIntoView();
}

function section(number, title, text, make) {
  const failed = problem();
  const body = h("div", { class: "example" }, h("p", { class: "soft", text: "…" }));
  const element = h(
    "section",
    { class: "lesson-section", "aria-labelledby": `section-${number}` },
    h(
      "div",
      { class: "lesson-text" },
      h("h2", { id: `section-${number}` }, h("span", { class: "soft", text: `${number}  ` }), title),
      h("p", { text }),
    ),
    h("div", { class: "panel" }, failed.element, body),
  );
  return { element, body, failed, make, seen: false, shown: null };
}

function uses(all) {
  const rows = Object.entries(USES).map(([task, [name, view]]) => {
    const models = all.filter((one) => one.task === task);
    return h(
      "li",
      {},
      h("a", { href: address(view, models[0]?.id), text: name }),
      h("span", {
        class: "soft",
        text: models.length ? ` ${models.map((one) => one.id).join(", ")}` : " no model here yet",
      }),
    );
  });
  return h(
    "section",
    { class: "lesson-section", "aria-labelledby": "section-8" },
    h(
      "div",
      { class: "lesson-text" },
      h("h2", { id: "section-8" }, h("span", { class: "soft", text: "8  " }), "What they are used for"),
      h("p", {
        text: "A sequence becomes a label, its next element, another sequence, a reply, words, or what follows. Each has its view here.",
      }),
    ),
    h("div", { class: "panel" }, h("ul", { class: "tries" }, ...rows)),
  );
}
