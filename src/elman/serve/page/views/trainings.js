// Trainings of this machine: their curves and their memory while they run.

import { Chart } from "../draw/chart.js";
import { follow, get, post } from "../lib/api.js";
import { duration, h, number, percent, problem, say } from "../lib/dom.js";
import { address } from "../lib/place.js";
import { heading } from "../parts/head.js";

const REFRESH = 3000; // milliseconds between looks for other trainings
const SMOOTH = 0.05; // share of a new step in the drawn loss

export async function show(root, context) {
  const { signal, place } = context;
  const failed = problem();
  const list = h("ul", { class: "runs", "aria-label": "Trainings" });
  const body = h("div", { class: "stack" });
  root.append(
    heading("Trainings", "What elman train does on this machine, while it does it."),
    failed.element,
    h("div", { class: "runs-split" }, list, body),
  );
  let current = null;

  async function refresh() {
    const runs = await get("v1/runs", signal);
    failed.clear();
    const wanted = runs.find((run) => run.id === place.model) ?? runs[0];
    list.replaceChildren(
      ...runs.map((run) =>
        h(
          "li",
          {},
          h(
            "a",
            { href: address("trainings", run.id), "aria-current": run.id === wanted?.id ? "true" : null },
            h("span", { class: `dot ${run.alive ? "alive" : ""}`, "aria-hidden": "true" }),
            run.name,
            h("span", { class: "soft", text: run.alive ? percent(run.done ?? 0) : "ended" }),
          ),
        ),
      ),
    );
    if (wanted && wanted.id !== current) {
      current = wanted.id;
      watch(body, wanted, signal, failed);
    } else if (!wanted) {
      body.replaceChildren(
        h(
          "section",
          { class: "panel" },
          h("p", { text: "No training goes on. Start one, and it is shown here:" }),
          h("pre", { text: "elman train classify reviews.csv --watch-memory" }),
          h("p", {
            class: "soft",
            text: "With --watch-memory it also tells how far back the network remembers.",
          }),
        ),
      );
    }
  }

  await refresh();
  const timer = setInterval(() => refresh().catch(failed.show), REFRESH);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function watch(body, run, signal, failed) {
  const state = { loss: [[], [], []], scores: new Map(), memory: [[], []], sum: 0, weight: 0 };
  const bar = h("progress", { max: "1", value: String(run.done ?? 0), "aria-label": "Done" });
  const facts = h("p", { class: "finding", text: "It has not taken a step yet." });
  const stop = h("button", {
    type: "button",
    text: "Stop",
    hidden: !run.alive,
    on: { click: () => confirmStop(run, failed, stop) },
  });
  const loss = new Chart("Training loss over steps", {
    lines: [
      { label: "loss of a step", colour: "line-strong", width: 1 },
      { label: "smoothed", colour: "accent", width: 2 },
    ],
    height: 240,
    signal,
  });
  const scores = h("div", { class: "charts" });
  const memory = new Chart("Memory horizon over steps", {
    lines: [{ label: "steps back to 10 % of the influence", colour: "for", points: true }],
    height: 180,
    zoom: false,
    signal,
  });
  const memoryPanel = h(
    "section",
    { class: "panel", hidden: true },
    h("h2", { text: "Memory horizon" }),
    memory.element,
  );
  body.replaceChildren(
    h(
      "section",
      { class: "panel stack" },
      h(
        "div",
        { class: "row" },
        h("h2", { text: run.name }),
        h("span", { class: "soft", text: run.task }),
        h("span", { class: "grow" }),
        stop,
      ),
      bar,
      facts,
    ),
    h("section", { class: "panel" }, h("h2", { text: "Training loss" }), loss.element),
    scores,
    memoryPanel,
  );

  function add(line) {
    state.sum = (1 - SMOOTH) * state.sum + SMOOTH * line.loss;
    state.weight = (1 - SMOOTH) * state.weight + SMOOTH; // below 1 at first, as there is nothing before
    [line.step, line.loss, state.sum / state.weight].forEach((value, k) => state.loss[k].push(value));
    for (const [name, value] of Object.entries(line.scores ?? {})) {
      if (name === "epoch") continue;
      if (!state.scores.has(name)) state.scores.set(name, scorePanel(name, scores, signal));
      const panel = state.scores.get(name);
      panel.data[0].push(line.step);
      panel.data[1].push(value);
      panel.best = line.best ? value : panel.best;
    }
    for (const [unit, value] of Object.entries(line.memory ?? {})) {
      state.unit = unit;
      state.memory[0].push(line.step);
      state.memory[1].push(value);
    }
  }

  function draw(last) {
    loss.set(state.loss, { keepZoom: true });
    for (const panel of state.scores.values()) {
      panel.chart.set(panel.data, { keepZoom: true });
      panel.told.textContent = `now ${number(panel.data[1].at(-1))}${panel.best === undefined ? "" : `, best ${number(panel.best)}`}`;
    }
    if (state.memory[0].length) {
      memoryPanel.hidden = false;
      memoryPanel.firstChild.textContent = `Memory horizon: ${number(state.memory[1].at(-1))} ${state.unit}`;
      memory.set(state.memory);
    }
    bar.value = last.done;
    facts.textContent = `Epoch ${last.epoch + 1}, step ${last.step}; loss ${number(last.loss)}; ${number(last.rate)} sequences a second; ${duration(last.left)} left.`;
  }

  function told(message) {
    if (body.firstChild?.querySelector("progress") !== bar) return;
    if (message.anew) Object.assign(state, { loss: [[], [], []], memory: [[], []], sum: 0, weight: 0 });
    if (message.lines?.length) {
      message.lines.forEach(add);
      draw(message.lines.at(-1));
    }
    if (message.alive === false) {
      stop.hidden = true;
      facts.textContent = `${facts.textContent.replace(/; [^;]* left\.$/, ".")} The training has ended.`;
      say(`The training ${run.name} has ended`, 0);
    }
  }

  follow(`v1/runs/${run.id}/events`, told, signal).catch(failed.show);
}

function scorePanel(name, place, signal) {
  const chart = new Chart(`Held-out ${name} over steps`, {
    lines: [{ label: `held-out ${name}`, colour: "accent", points: true }],
    height: 180,
    zoom: false,
    signal,
  });
  const told = h("p", { class: "soft" });
  place.append(
    h(
      "section",
      { class: "panel" },
      h("div", { class: "row" }, h("h2", { text: name }), told),
      chart.element,
    ),
  );
  return { chart, told, data: [[], []] };
}

function confirmStop(run, failed, button) {
  const dialog = h(
    "dialog",
    { "aria-labelledby": "stop-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "stop-title", text: `Stop ${run.name}?` }),
      h("p", {
        text: "It finishes its step and keeps the best model so far. elman train --resume goes on from there.",
      }),
      h(
        "p",
        { class: "row end" },
        h("button", { value: "", text: "Let it run" }),
        h("button", { value: "stop", class: "main", text: "Stop it" }),
      ),
    ),
  );
  dialog.addEventListener("close", async () => {
    dialog.remove();
    if (dialog.returnValue !== "stop") return;
    button.disabled = true;
    button.textContent = "Stopping…";
    await post(`v1/runs/${run.id}/stop`, {}).catch(failed.show);
  });
  document.body.append(dialog);
  dialog.showModal();
}
