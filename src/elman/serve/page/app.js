// The page: which view is shown, the models that it can use, and light or dark.

import { model as describe, models as listModels } from "./lib/api.js";
import { clear, h, problem, say } from "./lib/dom.js";
import { address, here, keep, kept, note } from "./lib/place.js";

const VIEWS = {
  "": { title: "Start", file: "start" },
  text: { title: "Text", file: "text", task: "classify" },
  writing: { title: "Writing", file: "writing", task: "generate" },
  translation: { title: "Translation", file: "translation", task: "translate" },
  chat: { title: "Chat", file: "chat", task: "chat" },
  speech: { title: "Speech", file: "speech", task: "transcribe" },
  series: { title: "Series", file: "series", task: "forecast" },
  trainings: { title: "Trainings", file: "trainings" },
  lesson: { title: "Lesson", file: "lesson" },
};
const TRAIN = {
  classify: "elman train classify reviews.csv",
  generate: "elman train generate book.txt",
  translate: "elman train translate pairs.tsv",
  chat: "elman train chat talks.tsv",
  transcribe: "elman train transcribe recordings/",
  forecast: "elman train forecast sales.csv --horizon 14",
};

const main = document.getElementById("main");
let leaving = new AbortController();
let shown = "";

function drawNav(current) {
  clear(
    document.getElementById("nav"),
    Object.entries(VIEWS).map(([name, { title }]) =>
      h(
        "li",
        {},
        h("a", { href: address(name), text: title, "aria-current": name === current ? "page" : null }),
      ),
    ),
  );
  // on a narrow screen the views stand in one line
  document.querySelector("#nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

async function show() {
  const place = here();
  const view = VIEWS[place.view] ? place.view : "";
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const { title, file, task } = VIEWS[view];
  drawNav(view);
  document.title = view ? `${title} · elman` : "elman";
  const root = h("div", { class: `view view-${file}` });
  const failed = problem();
  try {
    const all = await listModels(signal);
    const models = task ? all.filter((one) => one.task === task) : all;
    const wanted = place.model || kept(`${view}.model`, "");
    const found = models.find((one) => one.id === wanted) || models[0];
    const model = task && found ? await loaded(found, signal) : found;
    if (place.model && task && model?.id !== place.model && models.length) {
      failed.show(new Error(`there is no model “${place.model}” for this here, so ${model.id} is used`));
    }
    const context = {
      view,
      model,
      models,
      all,
      signal,
      params: model?.id === place.model || !place.model ? place.params : {},
      note: (params) => note(view, task ? model.id : place.model, params),
      place,
    };
    if (model && task) keep(`${view}.model`, model.id);
    const module = await import(`./views/${file}.js`);
    if (signal.aborted) return;
    clear(main, failed.element, root);
    if (task && !model) root.append(...missing(title, task));
    else await module.show(root, context);
  } catch (error) {
    if (signal.aborted) return;
    clear(main, failed.element, root);
    failed.show(error);
    root.append(h("p", {}, h("button", { type: "button", text: "Try again", on: { click: show } })));
  }
  if (shown && shown !== view) {
    main.focus({ preventScroll: true });
    window.scrollTo(0, 0);
    say(title, 0);
  }
  shown = view || "start";
}

/** Return all that is known of a model; the first who asks waits until it is in memory. */
async function loaded(model, signal) {
  const waiting = setTimeout(
    () => clear(main, h("p", { class: "soft", text: `Loading ${model.id} …` })),
    400,
  );
  try {
    return await describe(model.id, signal);
  } finally {
    clearTimeout(waiting);
  }
}

function missing(title, task) {
  return [
    h("h1", { text: title }),
    h("p", {
      class: "lead",
      text: "This server has no model for this yet. Train one, and give it to the server:",
    }),
    h("pre", { text: `${TRAIN[task]}\nelman serve runs/*` }),
  ];
}

function drawTheme() {
  const chosen = document.documentElement.dataset.theme || "system";
  const names = { system: "Light or dark: as the system", light: "Light", dark: "Dark" };
  const button = document.getElementById("theme");
  button.textContent = { system: "◐", light: "○", dark: "●" }[chosen];
  button.setAttribute("aria-label", `Colours: ${names[chosen]}. Change`);
  button.title = names[chosen];
}

document.getElementById("theme").addEventListener("click", () => {
  const order = ["system", "light", "dark"];
  const now = document.documentElement.dataset.theme || "system";
  const next = order[(order.indexOf(now) + 1) % order.length];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("elman.theme", next);
  } catch {
    // it holds for this visit
  }
  drawTheme();
  window.dispatchEvent(new Event("elman-theme"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  window.dispatchEvent(new Event("elman-theme")),
);

document.getElementById("link").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "It is in the address bar";
  }
  setTimeout(() => {
    button.textContent = "Copy link";
  }, 1800);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment names the view
  main.focus();
});
window.addEventListener("hashchange", show);
drawTheme();
show();
