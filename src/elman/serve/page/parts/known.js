// Columns that are known ahead, such as prices and promotions: the reader moves them, and the forecast follows.

import { h, number } from "../lib/dom.js";

const STEPS = 40; // of a slider

/** Return the controls of one column. `changed` is called with the new values of the steps ahead. */
export function knownColumn(column, stamps, moved, changed) {
  const values = moved ?? [...column.ahead];
  const change = (k, value) => {
    values[k] = value;
    changed(column.name, values);
  };
  if (column.choices) return frame(column, choices(column, stamps, values, change));
  const seen = [...column.before, ...column.ahead].filter((value) => value !== null);
  if (seen.length && seen.every((value) => value === 0 || value === 1))
    return frame(column, switches(column, stamps, values, change));
  return frame(
    column,
    slider(column, seen, values, (all) => changed(column.name, all)),
  );
}

function frame(column, ...parts) {
  return h("fieldset", { class: "known" }, h("legend", { text: column.name }), ...parts);
}

function switches(column, stamps, values, change) {
  const buttons = stamps.map((stamp, k) =>
    h("button", {
      type: "button",
      class: "step-switch",
      "aria-pressed": String(values[k] === 1),
      title: stamp,
      "aria-label": `${column.name}, ${stamp}`,
      on: {
        click: (event) => {
          const on = values[k] === 1 ? 0 : 1;
          event.currentTarget.setAttribute("aria-pressed", String(on === 1));
          change(k, on);
        },
      },
    }),
  );
  return [
    h("div", { class: "switches" }, ...buttons),
    h("p", { class: "hint", text: "A square is a step ahead: press it to switch it on or off." }),
  ];
}

function slider(column, seen, values, changed) {
  const [least, most] = [Math.min(...seen), Math.max(...seen)];
  const range = most - least || Math.abs(most) || 1;
  const start = [...column.ahead];
  const mean = start.reduce((sum, value) => sum + (value ?? 0), 0) / start.length;
  const shift = values.reduce((sum, value, k) => sum + (value ?? 0) - (start[k] ?? 0), 0) / values.length;
  const told = h("output", { text: described(shift, mean) });
  const input = h("input", {
    type: "range",
    min: -range,
    max: range,
    step: (2 * range) / STEPS,
    value: shift,
    "aria-label": `Move ${column.name} at all steps ahead`,
    on: {
      input: () => {
        const by = Number(input.value);
        told.textContent = described(by, mean);
        changed(start.map((value) => (value === null ? null : value + by)));
      },
    },
  });
  return [h("div", { class: "slide" }, input, told)];
}

const described = (by, mean) =>
  `${number(mean + by)}${Math.abs(by) > 1e-9 ? ` (${by > 0 ? "+" : "−"}${number(Math.abs(by))})` : ""}`;

function choices(column, stamps, values, change) {
  const selects = stamps.map((stamp, k) => {
    const select = h(
      "select",
      {
        "aria-label": `${column.name}, ${stamp}`,
        title: stamp,
        on: { change: () => change(k, select.value) },
      },
      ...column.choices.map((text) =>
        h("option", { value: text, text: text || "(empty)", selected: text === values[k] }),
      ),
    );
    return select;
  });
  return [h("div", { class: "switches" }, ...selects)];
}
