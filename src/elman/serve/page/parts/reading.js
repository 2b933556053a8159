// A text as a model reads it: each word coloured by what it did to the answer, with the answer after it below.

import { h, legend, number, percent } from "../lib/dom.js";

const SHOWN = 240; // words, the last ones

/**
 * Fill an element with words.
 * `words`: {text, score, share}: what the word adds to the score, null where it is not known yet; and the
 * probability of the answer after it, null for none.
 */
export function showWords(element, words, { scored = "score" } = {}) {
  const shown = words.slice(-SHOWN);
  const largest = Math.max(1e-9, ...shown.map((word) => Math.abs(word.score ?? 0)));
  element.replaceChildren(
    ...(words.length > shown.length ? [h("span", { class: "soft", text: "… " })] : []),
    ...shown.map((word) => oneWord(word, largest, scored)),
  );
}

function oneWord({ text, score, share }, largest, scored) {
  const known = score !== null && score !== undefined;
  const side = known && score < 0 ? "against" : "for";
  const told = [
    known ? `${score >= 0 ? "+" : "−"}${number(Math.abs(score), 2)} in ${scored}` : "",
    share === null || share === undefined ? "" : `${percent(share)} after it`,
  ];
  const element = h(
    "span",
    { class: `word ${side}`, title: told.filter(Boolean).join("; ") },
    h("span", { class: "word-text", text }),
  );
  element.style.setProperty("--force", known ? Math.min(Math.abs(score) / largest, 1).toFixed(3) : "0");
  if (share !== null && share !== undefined) {
    const trace = h("span", { class: "trace", "aria-hidden": "true" }, h("span"));
    trace.firstChild.style.height = `${Math.round(100 * share)}%`;
    element.append(trace);
  }
  return element;
}

/** What moved an answer, in words, for a screen reader and below the colours. */
export function strongest(words, count = 3) {
  const known = words.filter((word) => word.score);
  const sorted = [...known].sort((a, b) => Math.abs(b.score) - Math.abs(a.score)).slice(0, count);
  if (!sorted.length) return "";
  return `Moved most by ${sorted.map((word) => `“${word.text}” (${word.score > 0 ? "for" : "against"})`).join(", ")}.`;
}

export const wordLegend = (answer = "the answer") =>
  legend([
    ["for block", `for ${answer}`],
    ["against block", "against"],
    ["after block", "probability after each word"],
  ]);
