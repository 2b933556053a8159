// Probabilities as bars.

import { h, percent } from "../lib/dom.js";

const MOST = 6;

/** Fill a list with bars, the likeliest first; `pick` makes each a button. */
export function showBars(list, pairs, { pick = null, most = MOST } = {}) {
  const sorted = [...pairs].sort((a, b) => b[1] - a[1]);
  const shown = sorted.slice(0, most);
  list.replaceChildren(...shown.map((pair, place) => bar(pair, place, pick)));
  const rest = sorted.slice(most).reduce((sum, [, share]) => sum + share, 0);
  if (sorted.length > most)
    list.append(h("li", { class: "soft", text: `${sorted.length - most} others: ${percent(rest)}` }));
}

function bar([label, share], place, pick) {
  const fill = h("span", { class: "bar-fill" });
  fill.style.width = `${(100 * share).toFixed(1)}%`;
  const parts = [
    h("span", { class: "bar-label", text: label }),
    h("span", { class: "bar-track" }, fill),
    h("span", { class: "bar-share", text: percent(share) }),
  ];
  if (!pick) return h("li", { class: "bar" }, ...parts);
  const shortcut = place < 9 ? `Alt+${place + 1}` : null;
  return h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        class: "bar",
        "aria-keyshortcuts": shortcut,
        title: shortcut,
        on: { click: () => pick(label) },
      },
      ...parts,
    ),
  );
}
