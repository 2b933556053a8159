// A text is classified while it is typed; what moved the answer is coloured, and the network is seen inside.

import { h, percent, problem, resting, say } from "../lib/dom.js";
import { predict } from "../lib/api.js";
import { Follower, Session } from "../lib/session.js";
import { keep, kept } from "../lib/place.js";
import { showBars } from "../parts/bars.js";
import { chooser, heading } from "../parts/head.js";
import { Lens } from "../parts/lens.js";
import { showWords, strongest, wordLegend } from "../parts/reading.js";

const FIRST = "The movie was not good";
const PAUSE = 200; // milliseconds after which a model that does not stream is asked
const MAX_BEGINNINGS = 32; // of a text that such a model answers to

export async function show(root, context) {
  const { model, params, signal, note } = context;
  const failed = problem();
  const state = { pushed: [], seen: null, answer: null, share: null };
  const area = h("textarea", { id: "text", rows: "3", spellcheck: "false", maxlength: "20000" });
  const verdict = h("p", { class: "verdict", role: "status", "aria-live": "off" });
  const bars = h("ul", { class: "bars", "aria-label": "Probabilities" });
  const words = h("p", { class: "words", "aria-label": "The text as it was read" });
  const moved = h("p", { class: "soft moved" });
  const key = h("div");
  const lens = new Lens(model.id, {
    signal,
    beside: ["attribution"],
    tab: params.see || kept("text.see", "states"),
    chosen: (tab) => {
      keep("text.see", tab);
      remember();
    },
    seen: (seen) => {
      state.seen = seen.attribution;
      draw();
    },
  });

  function remember() {
    keep(`text.${model.id}`, area.value);
    note({ text: area.value, see: lens.tab === "states" ? "" : lens.tab });
  }

  function draw() {
    const read = joined(area.value, state);
    showWords(words, read, { scored: state.seen?.scored });
    moved.textContent = strongest(read);
    key.replaceChildren(wordLegend(state.answer === null ? undefined : `“${state.answer}”`));
  }

  const reader = readerOf(model, signal, {
    result: () => ({ probabilities: true }),
    fail: failed.show,
    show: (text, pushed, probabilities) => {
      failed.clear();
      const pairs = Object.entries(probabilities);
      const [answer, share] = pairs.reduce((best, pair) => (pair[1] > best[1] ? pair : best));
      const likely = pairs.filter((pair) => pair[1] >= 0.5).map(([label]) => label);
      const verdictText = model.several ? likely.join(", ") || "none of these" : answer;
      Object.assign(state, { pushed: pushed.slice(), answer, share });
      verdict.replaceChildren(
        h("strong", { text: verdictText }),
        model.several ? "" : h("span", { class: "soft", text: percent(share) }),
      );
      showBars(bars, pairs);
      say(model.several ? verdictText : `${answer}, ${percent(share)}`);
      draw();
    },
  });

  function changed() {
    remember();
    reader.update(area.value);
    if (area.value.trim()) lens.update([area.value]);
  }

  area.addEventListener("input", changed);
  area.value = params.text ?? kept(`text.${model.id}`, FIRST);
  root.append(
    heading(
      "Text",
      model.stream === false
        ? "The verdict after every word, and what moved it. This model reads both ways, so it reads anew from each word."
        : "The verdict moves with every word. What was read before is held in the hidden state alone.",
      chooser(context),
    ),
    h(
      "div",
      { class: "split" },
      h(
        "div",
        { class: "stack" },
        h("div", { class: "field" }, h("label", { for: "text", text: "A text" }), area),
        failed.element,
        h("section", { class: "panel", "aria-label": "Verdict" }, verdict, bars),
        h("section", { class: "panel", "aria-label": "What moved it" }, words, moved, key),
        tries(area, changed),
      ),
      lens.element,
    ),
  );
  changed();
  if (!matchMedia("(max-width: 60rem)").matches) area.focus();
}

/** What keeps the verdict at the text: a stream; or the answers of a model that reads both ways to the text and to
its beginnings. */
function readerOf(model, signal, told) {
  if (model.stream !== false) return new Follower(new Session(model.id, { signal }), told);
  const update = async (text) => {
    try {
      const words = text.trim().split(/\s+/);
      const beginnings =
        words.length <= MAX_BEGINNINGS ? words.map((_, k) => words.slice(0, k + 1).join(" ")) : [text];
      const answers = await predict(model.id, beginnings, {}, signal);
      const after = answers.map(({ probabilities }) => ({ token: null, probabilities }));
      told.show(text, beginnings.length === words.length ? after : [], answers.at(-1).probabilities);
    } catch (error) {
      told.fail(error);
    }
  };
  return { update: resting(PAUSE, update) };
}

/** The words of a text: read by the stream, with the answer after each, and coloured by the lens. */
function joined(text, state) {
  const { seen, answer, share } = state;
  let { pushed } = state;
  const labels = seen ? seen.labels.slice(1) : [];
  if (pushed[0]?.token === null && pushed.length !== labels.length) pushed = []; // words that are several tokens
  const tokens = pushed.map((one) => one.token);
  const scores = seen ? seen.scores.slice(1) : [];
  const count = Math.max(tokens.length, labels.length);
  return Array.from({ length: count }, (_, k) => {
    const same = (tokens[k] ?? null) === null || tokens[k] === labels[k];
    return {
      text: tokens[k] ?? labels[k],
      score: same ? (scores[k] ?? null) : null,
      share: pushed[k]
        ? (pushed[k].probabilities[answer] ?? null)
        : k === count - 1 && k === pushed.length
          ? share
          : null,
    };
  });
}

function tries(area, changed) {
  const texts = [
    "The movie was good",
    "The movie was not good",
    "The movie I watched last year in London with my old friends was not good",
  ];
  const use = (text) => {
    area.value = text;
    changed();
    area.focus();
  };
  return h(
    "div",
    { class: "tries-row" },
    h("span", { class: "soft", text: "Try" }),
    ...texts.map((text) =>
      h("button", { type: "button", class: "plain", text: `“${text}”`, on: { click: () => use(text) } }),
    ),
  );
}
