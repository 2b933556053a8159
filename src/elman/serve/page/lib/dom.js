// Elements, and what is said to those who don't see them.

/** Return an element. `props`: attributes; `on` holds listeners, `text` its text, `html` properties to set. */
export function h(tag, props = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  const { on = {}, text, set = {}, ...attributes } = props;
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  if (text !== undefined) element.textContent = text;
  Object.assign(element, set);
  element.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Tell a screen reader, once what is being typed rests. */
let later;
export function say(text, delay = 700) {
  clearTimeout(later);
  later = setTimeout(() => {
    document.getElementById("live").textContent = text;
  }, delay);
}

export function clear(element, ...children) {
  element.replaceChildren(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
}

/** Call a function once its calls pause. */
export function resting(milliseconds, call) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...args), milliseconds);
  };
}

/** A legend: pairs of a swatch's class and what it means, and a sentence. */
export function legend(pairs, text = "") {
  const keys = pairs.map(([name, meaning]) =>
    h("span", { class: "key" }, h("span", { class: `swatch ${name}` }), meaning),
  );
  return h("p", { class: "legend" }, ...keys, text && h("span", { text }));
}

/** A place for what went wrong, in words. */
export function problem() {
  const element = h("p", { class: "wrong", role: "alert" });
  return {
    element,
    show: (error) => {
      if (error && error.name === "AbortError") return;
      element.textContent = error ? sentence(error.message || String(error)) : "";
    },
    clear: () => {
      if (element.textContent) element.textContent = "";
    },
  };
}

export function sentence(text) {
  const isName = /^\S+\.\w/.test(text); // of a file, which keeps its letters
  const begun = isName ? text : text.slice(0, 1).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

/** A share in whole percent; neither 0 nor 100 unless it is. */
export function percent(share) {
  if (share > 0 && share < 0.005) return "<1 %";
  return `${share > 0.995 && share < 1 ? 99 : Math.round(100 * share)} %`;
}

export function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e9 || (size < 1e-3 && size > 0)) return value.toExponential(1);
  if (size >= 1000) return Math.round(Number(value.toPrecision(Math.max(digits, 4)))).toLocaleString("en");
  return String(Number(value.toPrecision(digits)));
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
