// A sentence and its translation, with the attention between their parts.

import { HeatMap } from "../draw/heat.js";
import { predict } from "../lib/api.js";
import { h, legend, number, problem, resting, say } from "../lib/dom.js";
import { keep, kept } from "../lib/place.js";
import { chooser, heading } from "../parts/head.js";
import { Lens } from "../parts/lens.js";

const PAUSE = 300;
const COUNT = 3;

export async function show(root, context) {
  const { model, params, signal, note } = context;
  const failed = problem();
  const area = h("textarea", { id: "text", rows: "3", maxlength: "5000" });
  const source = h("p", { class: "parts", "aria-hidden": "true" });
  const target = h("p", { class: "parts", "aria-hidden": "true" });
  const best = h("p", { class: "translated", role: "status", "aria-live": "off" });
  const others = h("ul", { class: "others" });
  const map = new HeatMap("Attention of the translation to the sentence", { signal, rowHeight: 24 });
  const lens = new Lens(model.id, {
    signal,
    tab: params.see || kept("translation.see", "states"),
    chosen: (tab) => {
      keep("translation.see", tab);
      remember();
    },
  });
  let controller = new AbortController();

  function remember() {
    keep(`translation.${model.id}`, area.value);
    note({ text: area.value, see: lens.tab === "states" ? "" : lens.tab });
  }

  async function translate() {
    controller.abort();
    controller = new AbortController();
    const text = area.value.trim();
    if (!text) return;
    try {
      const [answers] = await predict(
        model.id,
        text,
        { count: COUNT },
        AbortSignal.any([signal, controller.signal]),
      );
      failed.clear();
      draw(answers);
      lens.update([text]);
    } catch (error) {
      failed.show(error);
    }
  }

  function draw([first, ...rest]) {
    best.textContent = first.translation || "(nothing)";
    say(first.translation);
    others.replaceChildren(
      ...rest.map((one) =>
        h(
          "li",
          {},
          h("span", { text: one.translation || "(nothing)" }),
          h("span", { class: "soft", text: ` ${number(one.score, 3)}` }),
        ),
      ),
    );
    const { attention } = first;
    attended.hidden = !attention;
    if (!attention) return;
    const shown = (part) => part.replaceAll("▁", " ").trim() || "␣";
    pairUp(source, target, attention, shown);
    map.set({
      labels: attention.source.map(shown),
      units: attention.target.map((_, k) => k),
      rowLabels: attention.target.map(shown),
      values: attention.source.map((_, s) => attention.weights.map((row) => row[s])),
      low: 0,
      high: 1,
    });
  }

  area.addEventListener(
    "input",
    resting(PAUSE, () => {
      remember();
      translate();
    }),
  );
  area.value = params.text ?? kept(`translation.${model.id}`, model.examples?.[0] ?? "Je suis fatigué.");
  const attended = h(
    "section",
    { class: "panel stack", "aria-label": "Attention", hidden: true },
    h("h2", { text: "Where it looked" }),
    h("div", { class: "pairing" }, source, target),
    map.element,
    legend(
      [["ramp-gate", "0 to 1"]],
      "A row for each part of the translation, a column for each of the sentence. Point at a part above to see its partners.",
    ),
  );
  root.append(
    heading(
      "Translation",
      "The decoder writes part by part, and looks back at the sentence for each.",
      chooser(context),
    ),
    h(
      "div",
      { class: "split" },
      h(
        "div",
        { class: "stack" },
        h("div", { class: "field" }, h("label", { for: "text", text: "A sentence" }), area),
        failed.element,
        h("section", { class: "panel", "aria-label": "Translation" }, best, others),
        attended,
      ),
      lens.element,
    ),
  );
  remember();
  translate();
}

/** Fill two lines with the parts of both sentences; pointing at one shows its partners in the other. */
function pairUp(source, target, attention, shown) {
  const spans = (parts) => parts.map((part) => h("span", { class: "word for", text: shown(part) }));
  const [from, to] = [spans(attention.source), spans(attention.target)];
  const light = (elements, weights) =>
    elements.forEach((element, k) =>
      element.style.setProperty("--force", weights ? weights[k].toFixed(3) : "0"),
    );
  to.forEach((element, t) => {
    element.addEventListener("pointerenter", () => light(from, attention.weights[t]));
    element.addEventListener("pointerleave", () => light(from, null));
  });
  from.forEach((element, s) => {
    element.addEventListener("pointerenter", () =>
      light(
        to,
        attention.weights.map((row) => row[s]),
      ),
    );
    element.addEventListener("pointerleave", () => light(to, null));
  });
  source.replaceChildren(...from);
  target.replaceChildren(...to);
}
