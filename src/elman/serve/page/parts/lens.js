// The lens beside an input: hidden states, gates, the unrolled network, the gradient and the memory.

import { HeatMap } from "../draw/heat.js";
import { Chart } from "../draw/chart.js";
import { UnrolledNetwork, unrolledLegend } from "../draw/unrolled.js";
import { look } from "../lib/api.js";
import { h, legend, number, problem, resting, sentence } from "../lib/dom.js";
import { oneOf } from "./choice.js";

const PAUSE = 250; // milliseconds after which what was typed is looked at
const TABS = {
  states: "Hidden state",
  gates: "Gates",
  unroll: "Unrolled",
  flow: "Gradient",
  horizon: "Memory",
};

export class Lens {
  /**
   * `beside`: views that are wanted whatever tab is open; `seen` is called with what was seen.
   * `tab`: the first one; `chosen` is called when another is chosen.
   */
  constructor(model, { signal, beside = [], seen = () => {}, tab = "states", chosen = () => {} }) {
    Object.assign(this, { model, signal, beside, seen, chosen });
    this.tab = TABS[tab] ? tab : "states";
    this.problem = problem();
    this.body = h("div", {
      class: "stack",
      role: "tabpanel",
      tabindex: "0",
      "aria-labelledby": `tab-${this.tab}`,
    });
    this.tabs = h(
      "div",
      {
        role: "tablist",
        "aria-label": "What to look at",
        class: "tabs",
        on: { keydown: (event) => this.key(event) },
      },
      ...Object.entries(TABS).map(([name, text]) => this.button(name, text)),
    );
    this.element = h(
      "section",
      { class: "panel lens", "aria-label": "Inside the network" },
      this.tabs,
      this.problem.element,
      this.body,
    );
    this.later = resting(PAUSE, () => this.load());
    this.parts = {};
    this.picked = {};
    this.hint = h("p", { class: "soft", text: "Type something to look inside." });
    this.body.append(this.hint);
  }

  button(name, text) {
    return h("button", {
      type: "button",
      role: "tab",
      id: `tab-${name}`,
      text,
      "aria-selected": String(name === this.tab),
      tabindex: name === this.tab ? "0" : "-1",
      on: { click: () => this.choose(name) },
    });
  }

  key(event) {
    const names = Object.keys(TABS);
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    this.choose(names[(names.indexOf(this.tab) + by + names.length) % names.length]);
    this.tabs.querySelector("[aria-selected=true]").focus();
  }

  choose(name) {
    this.tab = name;
    for (const button of this.tabs.children) {
      const on = button.id === `tab-${name}`;
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
    }
    this.body.setAttribute("aria-labelledby", `tab-${name}`);
    this.chosen(name);
    if (this.input !== undefined) this.load();
  }

  /** Look at an input once the typing rests. */
  update(input) {
    this.input = input;
    if (!this.parts[this.tab]) this.hint.textContent = "Looking inside …";
    this.later();
  }

  async load() {
    this.controller?.abort();
    this.controller = new AbortController();
    const signal = AbortSignal.any([this.signal, this.controller.signal]);
    const views = [...new Set([...this.beside, this.tab])];
    this.element.setAttribute("aria-busy", "true");
    try {
      const seen = await look(this.model, this.input, views, signal);
      this.problem.clear();
      this.seen(seen);
      this.show(seen);
      this.element.removeAttribute("aria-busy");
    } catch (error) {
      if (signal.aborted) return;
      this.element.removeAttribute("aria-busy");
      this.problem.show(error);
    }
  }

  show(seen) {
    const makers = {
      states: showMaps,
      gates: showMaps,
      unroll: showUnrolled,
      flow: showFlow,
      horizon: showHorizon,
    };
    const notes = seen.notes.map((note) => h("p", { class: "note", text: sentence(note) }));
    const part = (this.parts[this.tab] ??= {});
    makers[this.tab](this, part, seen[this.tab], seen);
    this.body.replaceChildren(...part.elements, ...notes);
    part.after?.();
  }
}

/** Choose among a few names; the choice stays when others come, and the focus when all is drawn anew. */
function choice(lens, group, names, draw) {
  const picked = names.includes(lens.picked[group]) ? lens.picked[group] : names[0];
  lens.picked[group] = picked;
  const pick = (name) => {
    lens.picked[group] = name;
    draw();
    lens.body.querySelector(`[aria-label="${group}"] [aria-pressed="true"]`)?.focus();
  };
  return { picked, element: names.length > 1 ? oneOf(group, names, picked, pick) : "" };
}

function showMaps(lens, part, layers, seen) {
  const kind = lens.tab;
  part.map ??= new HeatMap(TABS[kind], { signal: lens.signal });
  const draw = () => lens.show(seen);
  const layer = choice(
    lens,
    "layer",
    layers.map((one) => one.layer),
    draw,
  );
  const one = layers.find((each) => each.layer === layer.picked);
  const names = Object.keys(one.maps);
  if (!names.length) {
    part.elements = [
      layer.element,
      h("p", { class: "soft", text: "This cell has no gates: its state is written anew at every step." }),
    ].filter(Boolean);
    part.after = null;
    return;
  }
  const map = choice(lens, kind, names, draw);
  const values = one.maps[map.picked];
  const gate = kind === "gates" && values.flat().every((value) => value >= 0);
  const shown =
    one.units.length < one.of
      ? `the ${one.units.length} of ${one.of} units that vary most`
      : `all ${one.of} units`;
  const about = kind === "gates" ? GATES[map.picked] || "" : "";
  part.elements = [
    h("div", { class: "row" }, layer.element, map.element),
    part.map.element,
    legend(
      [gate ? ["ramp-gate", "0 to 1"] : ["ramp-state", "−1 to 1"]],
      `A row is a unit: ${shown}. ${about}`,
    ),
  ];
  part.after = () =>
    part.map.set({ labels: one.labels, units: one.units, values, low: gate ? 0 : -1, high: 1 });
}

const GATES = {
  i: "i lets the new in.",
  f: "f keeps what was: near 1 nothing is forgotten.",
  g: "g is what could be written.",
  o: "o shows the cell's state.",
  r: "r resets what is read of the past.",
  z: "z keeps what was.",
  n: "n is what could be written.",
};

function showUnrolled(lens, part, network) {
  part.view ??= new UnrolledNetwork({ signal: lens.signal });
  part.elements = [part.view.element, unrolledLegend()];
  if (network.left_out.length)
    part.elements.push(
      h("p", {
        class: "soft",
        text: `Not drawn, for they take other steps: ${network.left_out.join(", ")}.`,
      }),
    );
  part.after = () => part.view.set(network);
}

const LINES = ["accent", "for", "against", "soft"];

function showFlow(lens, part, layers) {
  const curves = layers.flatMap((one) =>
    Object.entries(one.norms).map(([name, values]) => ({
      label: `${one.layer}, ${name}`,
      labels: one.labels,
      values,
    })),
  );
  const length = Math.max(...curves.map((one) => one.values.length));
  const labels = curves.find((one) => one.values.length === length).labels;
  part.chart?.end();
  part.chart = new Chart("The gradient for the state after each step", {
    lines: curves.map((one, k) => ({
      label: one.label,
      colour: LINES[k % LINES.length],
      points: length < 60,
    })),
    log: true,
    height: 240,
    zoom: false,
    signal: lens.signal,
    labels,
  });
  const readout = h("p", { class: "readout", text: " " });
  part.chart.onPoint = (step) => {
    readout.textContent =
      step === null || step === undefined
        ? " "
        : `“${labels[step]}”: ${curves
            .filter((one) => one.values[step] !== undefined)
            .map((one) => number(one.values[step], 2))
            .join(", ")}`;
  };
  part.elements = [
    part.chart.element,
    readout,
    h("p", {
      class: "soft",
      text: `How much a change of the state after each step would change the answer, from “${labels[0]}” to “${labels.at(-1)}”.`,
    }),
  ];
  const positive = (values) => Array.from({ length }, (_, step) => (values[step] > 0 ? values[step] : null));
  part.after = () =>
    part.chart.set([Array.from({ length }, (_, step) => step), ...curves.map((one) => positive(one.values))]);
}

function showHorizon(lens, part, horizon) {
  const curves = Object.entries(horizon.curves);
  const length = Math.max(...curves.map(([, values]) => values.length));
  part.chart?.end();
  part.chart = new Chart("The influence of earlier states on the end of the answer", {
    lines: curves.map(([name], k) => ({ label: name, colour: LINES[k % LINES.length], points: length < 60 })),
    log: true,
    height: 240,
    zoom: false,
    signal: lens.signal,
  });
  part.elements = [
    ...horizon.text.split("\n").map((line) => h("p", { class: "finding", text: line })),
    part.chart.element,
    h("p", {
      class: "soft",
      text: `Steps back from the end (${horizon.scale === 1 ? horizon.unit : `${horizon.scale} ${horizon.unit} each`}), as a share of the influence of the last.`,
    }),
  ];
  const positive = (values) => Array.from({ length }, (_, step) => (values[step] > 0 ? values[step] : null));
  part.after = () =>
    part.chart.set([
      Array.from({ length }, (_, step) => step),
      ...curves.map(([, values]) => positive(values)),
    ]);
}
