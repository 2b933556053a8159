// What there is: the models, something to try with each, trainings that go on, and the lesson.

import { get } from "../lib/api.js";
import { h, percent } from "../lib/dom.js";
import { address } from "../lib/place.js";
import { heading, scoreLine } from "../parts/head.js";

const TASKS = {
  classify: {
    view: "text",
    does: "labels texts",
    tries: ["The movie was not good", "not bad at all", "It was very, very good"],
    as: "text",
  },
  generate: {
    view: "writing",
    does: "continues texts",
    tries: ["I love deep ", "The network forgets the ", "Do you want to "],
    as: "text",
  },
  translate: {
    view: "translation",
    does: "translates",
    tries: ["Je suis fatigué.", "Où est la gare ?"],
    as: "text",
  },
  chat: { view: "chat", does: "talks", tries: ["Hello!", "What is your name?"], as: "say" },
  transcribe: { view: "speech", does: "hears speech", tries: [] },
  forecast: { view: "series", does: "forecasts series", tries: [] },
};
const OPEN = { transcribe: "Speak, or drop a recording", forecast: "See what it forecasts, or drop a CSV" };

export async function show(root, { all, signal }) {
  const runs = await get("v1/runs", signal).catch(() => []);
  const parts = [
    heading(
      "Models",
      all.length
        ? "Small recurrent networks that run here, on this machine. Nothing that you type or say leaves it."
        : "This server has no model yet. Give it some: trained ones by their folders, or those of elman models by their names.",
    ),
    all.length ? null : h("pre", { text: "elman models\nelman serve elman:sentiment elman:digits" }),
    h("ul", { class: "cards" }, ...all.map((one) => h("li", {}, card(one)))),
  ];
  root.append(...parts.filter(Boolean));
  root.append(h("div", { class: "pair" }, trainings(runs.filter((run) => run.alive)), lesson()));
}

function card(one) {
  const { view, does, tries, as } = TASKS[one.task] || {};
  if (!view)
    return h("article", { class: "panel card" }, h("h2", { text: one.id }), h("p", { text: one.task }));
  const [score = "", plain] = scoreLine(one);
  const examples = one.examples?.filter((each) => typeof each === "string") || tries;
  return h(
    "article",
    { class: "panel card" },
    h("h2", {}, h("a", { href: address(view, one.id), text: one.id })),
    h("p", { class: "soft", text: one.title || does }),
    h("p", { class: "score" }, score, plain && h("span", { class: "soft", text: ` · ${plain}` })),
    examples.length
      ? h(
          "ul",
          { class: "tries", "aria-label": "To try" },
          ...examples
            .slice(0, 3)
            .map((text) =>
              h(
                "li",
                {},
                h("a", {
                  href: address(view, one.id, { [as]: as === "say" ? JSON.stringify([text]) : text }),
                  text: `“${text.trim()}”`,
                }),
              ),
            ),
        )
      : h(
          "ul",
          { class: "tries" },
          h("li", {}, h("a", { href: address(view, one.id), text: OPEN[one.task] || "Open" })),
        ),
  );
}

function trainings(alive) {
  const going = alive.map((run) =>
    h(
      "li",
      {},
      h("a", { href: address("trainings", run.id), text: run.name }),
      run.done ? h("span", { class: "soft", text: ` ${percent(run.done)}` }) : null,
    ),
  );
  return h(
    "section",
    { class: "panel" },
    h("h2", { text: "Trainings" }),
    alive.length
      ? h("ul", { class: "tries" }, ...going)
      : h("p", {
          class: "soft",
          text: "None goes on. One that elman train starts on this machine is shown here with its curves.",
        }),
  );
}

function lesson() {
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, h("a", { href: address("lesson"), text: "Lesson" })),
    h("p", {
      class: "soft",
      text: "Eight sections from a sequence to its uses: the hidden state, “not good”, the unrolled network, the gradient that vanishes, gates. Each with these models, live.",
    }),
  );
}
