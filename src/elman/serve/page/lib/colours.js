// The colours of the page, for what is drawn on a canvas.

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

/** Return a colour of the stylesheet as [red, green, blue]. */
export function channels(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe)
    .color.match(/[\d.]+/g)
    .slice(0, 3)
    .map(Number);
}

export function colour(name, share = 1) {
  const [red, green, blue] = channels(name);
  return `rgba(${red}, ${green}, ${blue}, ${share})`;
}

/** Return the 256 colours from one to another, through a middle if there is one. */
export function ramp(...names) {
  const stops = names.map(channels);
  return Array.from({ length: 256 }, (_, k) => {
    const place = (k / 255) * (stops.length - 1);
    const from = Math.min(Math.floor(place), stops.length - 2);
    return stops[from].map((low, c) => Math.round(low + (stops[from + 1][c] - low) * (place - from)));
  });
}

/** Call a function when light becomes dark or dark light, until the signal. */
export function onTheme(call, signal) {
  window.addEventListener("elman-theme", call, { signal });
}
