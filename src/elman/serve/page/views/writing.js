// The likeliest next words while a text is typed, and a continuation that is written as one watches.

import { h, problem, say } from "../lib/dom.js";
import { Follower, Session } from "../lib/session.js";
import { keep, kept } from "../lib/place.js";
import { showBars } from "../parts/bars.js";
import { chooser, heading } from "../parts/head.js";
import { Lens } from "../parts/lens.js";

const FIRST = "I love deep ";
const COUNT = 8;

export async function show(root, context) {
  const { model, params, signal, note } = context;
  const failed = problem();
  const writer = new Session(model.id, { signal }); // of its own, so that typing goes on beside it
  let writing = null;
  const area = h("textarea", {
    id: "text",
    rows: "5",
    spellcheck: "false",
    maxlength: "20000",
    "aria-describedby": "keys",
  });
  const next = h("ul", { class: "bars", "aria-label": "Likeliest next words" });
  const written = h("p", { class: "written", "aria-label": "Continuation", tabindex: "0" });
  const write = h("button", {
    type: "button",
    class: "main",
    text: "Write on",
    on: { click: () => (writing ? stop() : begin()) },
  });
  const take = h("button", {
    type: "button",
    text: "Keep it",
    hidden: true,
    on: {
      click: () => {
        area.value += written.textContent;
        clearWritten();
        changed();
        area.focus();
      },
    },
  });
  const warmth = h("input", {
    id: "warmth",
    type: "range",
    min: "0",
    max: "1.5",
    step: "0.1",
    value: params.warmth ?? kept("writing.warmth", "0.8"),
  });
  const told = h("output", { for: "warmth" });
  const length = h("input", {
    id: "length",
    type: "number",
    min: "1",
    max: "5000",
    value: kept("writing.length", "200"),
  });
  const seed = h("input", {
    id: "seed",
    type: "number",
    min: "0",
    max: "999999",
    value: params.seed ?? kept("writing.seed", "1"),
  });
  const lens = new Lens(model.id, {
    signal,
    beside: [],
    tab: params.see || kept("writing.see", "states"),
    chosen: (tab) => {
      keep("writing.see", tab);
      remember();
    },
  });

  const follower = new Follower(new Session(model.id, { signal }), {
    result: () => ({ count: COUNT }),
    fail: failed.show,
    show: (text, pushed, words) => {
      failed.clear();
      showBars(next, words, { pick: insert, most: COUNT });
      if (words.length)
        say(
          `Next: ${words
            .slice(0, 3)
            .map(([word]) => word)
            .join(", ")}`,
          1200,
        );
    },
  });

  function remember() {
    keep(`writing.${model.id}`, area.value);
    keep("writing.warmth", warmth.value);
    keep("writing.length", length.value);
    keep("writing.seed", seed.value);
    told.textContent = warmth.value === "0" ? "0, always the likeliest" : warmth.value;
    note({
      text: area.value,
      warmth: warmth.value,
      seed: seed.value,
      see: lens.tab === "states" ? "" : lens.tab,
    });
  }

  function changed() {
    remember();
    follower.update(area.value);
    if (area.value) lens.update([area.value]);
  }

  function insert(word) {
    area.value = completed(area.value, word);
    changed();
    area.focus();
  }

  function clearWritten() {
    written.textContent = "";
    take.hidden = true;
  }

  async function begin() {
    clearWritten();
    failed.clear();
    const options = {
      length: Number(length.value) || 200,
      temperature: Number(warmth.value),
      seed: Number(seed.value) || 0,
    };
    writing = true;
    write.textContent = "Stop";
    try {
      await writer.ready();
      await writer.ask({ reset: {} });
      if (area.value) await writer.ask({ push: area.value });
      await writer.ask({ write: options }, (piece) => written.append(piece));
      say(written.textContent, 0);
    } catch (error) {
      failed.show(error);
    }
    writing = null;
    write.textContent = "Write on";
    take.hidden = !written.textContent;
  }

  function stop() {
    writer.tell({ stop: {} });
  }

  area.addEventListener("input", changed);
  area.addEventListener("keydown", (event) => {
    const place = event.altKey && /^Digit[1-9]$/.test(event.code) ? Number(event.code.at(-1)) - 1 : -1;
    const button = next.querySelectorAll("button")[place];
    if (button) {
      event.preventDefault();
      button.click();
    }
  });
  for (const field of [warmth, length, seed]) field.addEventListener("input", remember);
  area.value = params.text ?? kept(`writing.${model.id}`, FIRST);
  const setting = (field, text, ...more) =>
    h("div", { class: "setting" }, h("label", { for: field.id, text }), field, ...more);
  root.append(
    heading(
      "Writing",
      "What comes next, from all that was read before; and a text that goes on by itself.",
      chooser(context),
    ),
    h(
      "div",
      { class: "split" },
      h(
        "div",
        { class: "stack" },
        h(
          "div",
          { class: "field" },
          h("label", { for: "text", text: "A text" }),
          area,
          h("p", { class: "hint", id: "keys", text: "Alt and a number take the word of that place." }),
        ),
        failed.element,
        h("section", { class: "panel", "aria-label": "Next words" }, h("h2", { text: "Next word" }), next),
        h(
          "section",
          { class: "panel stack", "aria-label": "Writing on" },
          h("div", { class: "row" }, write, take),
          h(
            "div",
            { class: "settings" },
            setting(warmth, "Temperature", told),
            setting(length, "Characters"),
            setting(seed, "Seed"),
          ),
          written,
        ),
      ),
      lens.element,
    ),
  );
  changed();
}

/** A text with a word at its end, in place of its beginning if that is typed already. */
function completed(text, word) {
  const begun = text.match(/\S*$/)[0];
  if (begun && word.startsWith(begun)) return `${text.slice(0, text.length - begun.length)}${word} `;
  const mark = /^[.,;:!?)]/.test(word);
  return `${mark ? text.trimEnd() : text}${begun && !mark ? " " : ""}${word} `;
}
