// A sound as it is heard: its loudness over time, and the words below.

import { colour, onTheme } from "../lib/colours.js";
import { h } from "../lib/dom.js";

const HEIGHT = 96;
const WORDS_HEIGHT = 22;
const BIN_SECONDS = 0.02;
const LIVE_SECONDS = 10;

export class Sound {
  constructor({ signal } = {}) {
    this.canvas = h("canvas", {
      class: "sound",
      role: "img",
      "aria-label": "The sound, and when each word was said",
    });
    this.element = h("div", { class: "sound-frame" }, this.canvas);
    this.clear(null);
    onTheme(() => this.draw(), signal);
    const resized = new ResizeObserver(() => this.draw());
    resized.observe(this.element);
    signal?.addEventListener("abort", () => resized.disconnect());
  }

  /** Begin anew: with `seconds` a sound of that length, with null one that goes on. */
  clear(seconds) {
    this.seconds = seconds;
    this.bins = [];
    this.rest = [];
    this.words = [];
    this.draw();
  }

  push(samples, rate) {
    const size = Math.max(1, Math.round(rate * BIN_SECONDS));
    let peak = this.rest[0] ?? 0;
    let count = this.rest[1] ?? 0;
    for (const sample of samples) {
      peak = Math.max(peak, Math.abs(sample) / 32768);
      count += 1;
      if (count === size) {
        this.bins.push(peak);
        [peak, count] = [0, 0];
      }
    }
    this.rest = [peak, count];
    this.later();
  }

  add(words) {
    this.words.push(...words);
    this.later();
  }

  later() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.draw();
    });
  }

  draw() {
    const width = this.element.clientWidth;
    if (!width) return;
    const sharp = window.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * sharp, height: (HEIGHT + WORDS_HEIGHT) * sharp });
    const context = this.canvas.getContext("2d");
    context.scale(sharp, sharp);
    const length = this.bins.length * BIN_SECONDS;
    const span = this.seconds ?? LIVE_SECONDS;
    const start = this.seconds === null ? Math.max(0, length - span) : 0;
    const x = (seconds) => ((seconds - start) / span) * width;
    context.fillStyle = colour("line");
    context.fillRect(0, HEIGHT / 2, width, 1);
    context.fillStyle = colour("accent");
    const thick = Math.max(width / (span / BIN_SECONDS) - 0.5, 0.75);
    for (let k = Math.floor(start / BIN_SECONDS); k < this.bins.length; k += 1) {
      const high = Math.max(Math.sqrt(this.bins[k]) * (HEIGHT - 8), 1);
      context.fillRect(x(k * BIN_SECONDS), (HEIGHT - high) / 2, thick, high);
    }
    this.write(context, x, start);
  }

  write(context, x, start) {
    context.font = "12px system-ui, sans-serif";
    let free = -Infinity;
    for (const { text, start: from, end } of this.words) {
      if (end < start) continue;
      context.fillStyle = colour("ink", 0.28);
      context.fillRect(x(from), HEIGHT + 1, Math.max(x(end) - x(from), 2), 2);
      if (x(from) < free) continue; // no room for this word
      context.fillStyle = colour("ink");
      context.fillText(text, x(from), HEIGHT + 17);
      free = x(from) + context.measureText(text).width + 6;
    }
  }
}
