// A series, its forecast with bands beside the naive one, and the columns that the reader may move.

import { post } from "../lib/api.js";
import { h, problem, resting, say } from "../lib/dom.js";
import { keep, kept, packed, unpacked } from "../lib/place.js";
import { columnChoices, inItsNames, missing, renamed } from "../parts/columns.js";
import { dropZone } from "../parts/drop.js";
import { ForecastChart, forecastTable, isTime } from "../parts/forecast.js";
import { listed, oneOf } from "../parts/choice.js";
import { chooser, heading } from "../parts/head.js";
import { knownColumn } from "../parts/known.js";
import { effect, middleLevel, summary } from "../parts/totals.js";

const MAX_BYTES = 20 << 20;
const MAX_KEPT = 1 << 20; // characters of a table that the browser keeps
const PAUSE = 200;

export async function show(root, context) {
  const { model, params, signal, note } = context;
  const failed = problem();
  const state = {
    csv: null,
    picked: {},
    file: "",
    series: null,
    moved: {},
    seen: null,
    chart: null,
    naive: null,
  };
  const file = h("input", {
    id: "csv",
    type: "file",
    accept: ".csv,text/csv",
    class: "hidden",
    on: { change: () => take(file.files[0]) },
  });
  const pasted = h("textarea", {
    id: "pasted",
    rows: "6",
    spellcheck: "false",
    placeholder: "day,sold\n2024-01-01,12\n2024-01-02,15",
  });
  const from = h("p", { class: "soft" });
  const columns = h("div", { class: "row" });
  const body = h("div", { class: "stack" });
  const back = h("button", {
    type: "button",
    class: "plain",
    text: "Use the training data",
    on: { click: () => use(null, "") },
  });
  let controller = new AbortController();

  /** The name that the table has for the values. */
  const valueName = () => state.picked[state.seen.columns.value] ?? state.seen.columns.value;
  const sent = () => renamed(state.csv, state.picked, model.columns ?? {}, state.file || "table");
  const chartOf = (series, future) =>
    post(
      `v1/chart/${encodeURIComponent(model.id)}`,
      { csv: state.csv && sent(), series, future },
      AbortSignal.any([signal, controller.signal]),
    );

  async function load() {
    controller.abort();
    controller = new AbortController();
    body.setAttribute("aria-busy", "true");
    try {
      state.seen = await chartOf(state.series, null);
      failed.clear();
      draw();
      state.good = { csv: state.csv, picked: state.picked, file: state.file, series: state.series };
      if (Object.keys(state.moved).length) await move();
    } catch (error) {
      if (error.name !== "AbortError") failed.show(inItsNames(error.message, state.picked));
      if (state.good && error.name !== "AbortError") Object.assign(state, state.good); // what is drawn stays
    }
    body.removeAttribute("aria-busy");
    remember();
  }

  function draw() {
    const { seen } = state;
    const levels = Object.keys(seen.ahead.quantiles).sort((a, b) => a - b);
    const naives = Object.keys(seen.ahead.naive);
    state.naive = naives.includes(state.naive) ? state.naive : naives[0];
    const shown = h("div", { class: "stack" });
    const redraw = () => {
      state.chart?.chart.end();
      state.chart = new ForecastChart(levels, state.naive, {
        time: isTime(seen.past.ds[0]),
        signal,
        height: 340,
      });
      shown.replaceChildren(state.chart.element);
      state.chart.set(seen, state.medians ?? null);
    };
    from.textContent =
      state.csv === null
        ? "The training data, and what follows them."
        : `${state.file || "Your table"}: ${seen.past.ds.length} steps, forecast from ${seen.ahead.ds[0]}.`;
    columns.replaceChildren(
      ...columnChoices(state.csv === null ? [] : missing(state.csv, model.columns ?? {}), state.picked, pick),
    );
    const finding = h("p", { class: "finding", text: summary(seen, state.naive, valueName()) });
    const table = h("div", {}, forecastTable(seen, state.naive));
    const pickNaive = (name) => {
      state.naive = name;
      finding.textContent = summary(seen, name, valueName());
      table.replaceChildren(forecastTable(seen, name));
      redraw();
    };
    const beside =
      naives.length > 1 ? oneOf("Naive forecast", naives, state.naive, pickNaive, "Beside the") : null;
    const pickSeries = (name) => {
      Object.assign(state, { series: name, moved: {}, medians: null });
      load();
    };
    const choosing =
      seen.names.length > 1
        ? listed("series", seen.columns.series ?? "Series", seen.names, seen.name, pickSeries)
        : null;
    body.replaceChildren(
      h("div", { class: "row" }, choosing, beside),
      h("section", { class: "panel stack", "aria-label": "Forecast" }, finding, shown),
      ...known(seen),
      ...seen.notes.map((text) => h("p", { class: "note", text })),
      table,
    );
    redraw();
    say(summary(seen, state.naive, valueName()));
  }

  function known(seen) {
    state.effect = h("p", { class: "finding", role: "status", "aria-live": "polite" });
    if (!seen.known.length) return [];
    const controls = seen.known.map((column) =>
      knownColumn(
        column,
        seen.ahead.ds,
        state.moved[column.name] && [...state.moved[column.name]],
        (name, values) => {
          state.moved[name] = [...values];
          later();
        },
      ),
    );
    const undo = h("button", {
      type: "button",
      class: "plain",
      text: "Put back",
      on: {
        click: () => {
          state.moved = {};
          state.medians = null;
          draw();
          remember();
        },
      },
    });
    return [
      h(
        "section",
        { class: "panel stack", "aria-label": "Known ahead" },
        h("div", { class: "row" }, h("h2", { text: "Known ahead: move it" }), undo),
        h("div", { class: "knowns" }, ...controls),
        state.effect,
      ),
    ];
  }

  /** Forecast with the columns as they were moved, and draw that beside the forecast. */
  async function move() {
    const { seen } = state;
    try {
      const future = seen.ahead.ds.map((stamp, k) => {
        const row = { [seen.columns.time ?? "step"]: isTime(stamp) ? stamp : Number(stamp) };
        if (seen.columns.series) row[seen.columns.series] = seen.name;
        for (const column of seen.known) row[column.name] = (state.moved[column.name] ?? column.ahead)[k];
        return row;
      });
      const other = await chartOf(seen.name, future);
      const middle = middleLevel(seen);
      state.medians = other.ahead.quantiles[middle];
      state.chart.set(seen, state.medians, true);
      state.effect.textContent = effect(seen.ahead.quantiles[middle], state.medians, valueName());
      failed.clear();
    } catch (error) {
      failed.show(error);
    }
    remember();
  }

  const later = resting(PAUSE, move);

  async function remember() {
    if (state.csv === null || state.csv.length <= MAX_KEPT)
      keep(`series.${model.id}`, {
        csv: state.csv,
        picked: state.picked,
        file: state.file,
        series: state.series,
        moved: state.moved,
      });
    const moved = Object.keys(state.moved).length ? JSON.stringify(state.moved) : "";
    const data = state.csv === null ? "" : await packed(sent());
    if (!signal.aborted && !note({ data, series: state.series, moved }))
      from.textContent += " The table is too large for a link, which names the model alone.";
  }

  function use(csv, name) {
    const missed = csv === null ? [] : missing(csv, model.columns ?? {});
    const picked = Object.fromEntries(missed.map(({ wanted, options }) => [wanted, options[0]]));
    Object.assign(state, { csv, picked, file: name, series: null, moved: {}, medians: null });
    load();
  }

  function pick(wanted, name) {
    Object.assign(state, { picked: { ...state.picked, [wanted]: name }, moved: {}, medians: null });
    load();
  }

  async function take(chosen) {
    file.value = "";
    if (!chosen) return;
    if (chosen.size > MAX_BYTES)
      failed.show(new Error(`${chosen.name} has more than ${MAX_BYTES >> 20} MiB: use elman predict for it`));
    else use(await chosen.text(), chosen.name);
  }

  root.append(
    heading(
      "Series",
      "What follows, how sure that is, and what it would be if a plan were another.",
      chooser(context),
    ),
    dropZone(
      h(
        "section",
        { class: "panel", "aria-label": "Data" },
        h(
          "div",
          { class: "row" },
          h("label", { for: "csv", class: "button", text: "Open a CSV" }),
          file,
          h("span", { class: "soft wide", text: "or drop one here" }),
          back,
        ),
        h(
          "details",
          {},
          h("summary", { text: "Paste a table" }),
          h("label", { for: "pasted", class: "hidden", text: "A table as CSV" }),
          pasted,
          h("button", {
            type: "button",
            text: "Forecast it",
            on: { click: () => pasted.value.trim() && use(`${pasted.value.trim()}\n`, "The pasted table") },
          }),
        ),
        from,
        columns,
      ),
      take,
    ),
    failed.element,
    body,
  );
  await restore(state, params, kept(`series.${model.id}`), failed, sent);
  await load();
}

/** Take what the address says, or else what the browser has kept; the latter knows the table's own names, too. */
async function restore(state, params, stored, failed, sent) {
  const asked = { csv: null, picked: {}, file: "", series: params.series || null, moved: {} };
  try {
    if (params.moved) asked.moved = JSON.parse(params.moved);
    if (stored?.csv) Object.assign(state, stored);
    const isSame = stored?.csv && params.data && (await packed(sent())) === params.data;
    if (isSame || (stored && !Object.keys(params).length)) return;
    if (params.data)
      Object.assign(asked, { csv: await unpacked(params.data), file: "The table of the link" });
  } catch {
    failed.show(new Error("the link is damaged: its table can't be read"));
  }
  Object.assign(state, asked);
}
