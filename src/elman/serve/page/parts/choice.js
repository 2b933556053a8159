// A choice among names: of a few as buttons of which one is pressed, of many as a list.

import { h } from "../lib/dom.js";

/** Return the buttons, with a word before them if there is one; `pick` is called with the name that is chosen. */
export function oneOf(label, names, current, pick, before = "") {
  const buttons = names.map((name) =>
    h("button", {
      type: "button",
      class: "plain",
      text: name,
      "aria-pressed": String(name === current),
      on: {
        click: () => {
          for (const each of buttons) each.setAttribute("aria-pressed", String(each.textContent === name));
          pick(name);
        },
      },
    }),
  );
  const word = before && h("span", { class: "soft", text: before });
  return h("div", { class: "choices", role: "group", "aria-label": label }, word, ...buttons);
}

/** Return a list that opens, with its label; `pick` is called with the name that is chosen. */
export function listed(id, label, names, current, pick) {
  const options = names.map((name) => h("option", { value: name, text: name, selected: name === current }));
  const select = h("select", { id, on: { change: () => pick(select.value) } }, ...options);
  return h("p", { class: "inline" }, h("label", { for: id, text: label }), select);
}
