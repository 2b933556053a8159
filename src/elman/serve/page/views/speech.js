// Speech as it is heard: words that are certain, and dim those that may still change.

import { decode, listen } from "../audio/microphone.js";
import { Sound } from "../draw/sound.js";
import { transcribe } from "../lib/api.js";
import { h, percent, problem, say } from "../lib/dom.js";
import { Session } from "../lib/session.js";
import { dropZone } from "../parts/drop.js";
import { chooser, heading } from "../parts/head.js";

const CHUNK_SECONDS = 0.25; // of a recording, sent at a time
const MAX_AHEAD = 8; // chunks that are sent before the first is answered
const MAX_BEHIND_BYTES = 1 << 20;
const MAX_MINUTES = 30;
const MAX_TOLD = 24; // words that are listed

function known({ labels = [], phrases = [] }) {
  const words = phrases.length ? phrases : labels;
  if (!words.length) return "This model writes what it hears letter by letter.";
  const shown = words.slice(0, MAX_TOLD).join(", ");
  return `This model knows ${words.length > MAX_TOLD ? `${words.length} words: ${shown}, …` : `these words: ${shown}.`}`;
}

export async function show(root, context) {
  const { model, signal } = context;
  const failed = problem();
  if (model.input === "frames") {
    root.append(
      heading(
        "Speech",
        "This model reads features that were computed before, so it can’t hear sound.",
        chooser(context),
      ),
    );
    return;
  }
  const rate = model.rate ?? 16000;
  const isLive = model.stream !== false;
  const sound = new Sound({ signal });
  const text = h("div", { class: "heard", "aria-label": "What was said" });
  const tail = h("span", { class: "tentative" });
  const level = h(
    "div",
    {
      class: "level",
      role: "meter",
      "aria-label": "Loudness",
      "aria-valuemin": "0",
      "aria-valuemax": "1",
      "aria-valuenow": "0",
    },
    h("span"),
  );
  const button = h("button", {
    type: "button",
    class: "main",
    text: "Listen",
    disabled: !isLive,
    on: { click: () => (microphone ? stop() : start()) },
  });
  const file = h("input", {
    id: "file",
    type: "file",
    accept: "audio/*,.wav,.flac,.mp3,.ogg",
    class: "hidden",
    on: { change: () => take(file.files[0]) },
  });
  const facts = h("p", { class: "soft", text: " " });
  let [session, microphone, utterance, answered, words] = [null, null, 0, 0, 0];

  function begin(options) {
    session?.close();
    session = new Session(model.id, { options, heard: receive, signal });
    Object.assign(text, { textContent: "" });
    [utterance, answered, words] = [0, 0, 0];
    failed.clear();
    facts.textContent = " ";
    return session.ready();
  }

  function receive(message) {
    answered += 1;
    if (message.error) failed.show(new Error(message.error.message));
    else if (message.pushed) add(message.pushed);
  }

  /** Add the words of an answer; the last line ends with what may still change. */
  function add({ words: certain, tentative, utterance: number }) {
    for (const word of certain) {
      if (!text.lastChild) newLine();
      const share = word.confidence ?? null;
      const told = `${word.start.toFixed(2)} to ${word.end.toFixed(2)} s${share === null ? "" : `, ${percent(share)} certain`}`;
      const element = h("span", { class: "certain", text: `${word.text} `, title: told });
      if (share !== null && share < 0.6) element.classList.add("unsure");
      text.lastChild.insertBefore(element, tail);
      words += 1;
    }
    if (number > utterance) newLine();
    utterance = number;
    if (tentative && !text.lastChild) newLine();
    tail.textContent = tentative;
    sound.add(certain);
    if (certain.length) say(certain.map((word) => word.text).join(" "), 0);
    text.scrollTop = text.scrollHeight;
  }

  function newLine() {
    if (text.lastChild && !text.lastChild.querySelector(".certain")) return; // the last is still empty
    text.append(h("p", {}, tail));
  }

  async function start() {
    button.disabled = true;
    try {
      sound.clear(null);
      microphone = await listen(rate, block);
      await begin(microphone.rate === rate ? null : { rate: microphone.rate });
      button.textContent = "Stop";
      button.setAttribute("aria-pressed", "true");
      facts.textContent = `Listening at ${microphone.rate} samples a second.`;
    } catch (error) {
      await microphone?.stop();
      microphone = null;
      failed.show(error);
    }
    button.disabled = false;
  }

  function block(buffer, peak) {
    level.firstChild.style.width = `${Math.round(100 * Math.sqrt(peak))}%`;
    level.setAttribute("aria-valuenow", peak.toFixed(2));
    sound.push(new Int16Array(buffer), microphone?.rate ?? rate);
    if (!session) return;
    if (session.behind > MAX_BEHIND_BYTES) {
      failed.show(new Error("the server can't follow: the rest is not heard"));
      stop();
      return;
    }
    session.tell(buffer);
  }

  async function stop() {
    const ended = microphone;
    microphone = null;
    level.firstChild.style.width = "0";
    button.textContent = "Listen";
    button.removeAttribute("aria-pressed");
    await ended?.stop();
    await finish();
  }

  async function finish() {
    try {
      const { finished } = await session.ask({ finish: {} });
      add({ ...finished, tentative: "", utterance });
      count();
    } catch (error) {
      failed.show(error);
    }
  }

  function count() {
    const heard = `${words} ${words === 1 ? "word" : "words"}. Point at one to see when it was said.`;
    facts.textContent = words ? heard : "No word was heard.";
  }

  async function take(chosen) {
    if (!chosen) return;
    if (microphone) await stop();
    button.disabled = true;
    try {
      const samples = await decode(chosen, rate);
      const seconds = samples.length / rate;
      if (seconds > 60 * MAX_MINUTES)
        throw new Error(`${chosen.name} is longer than ${MAX_MINUTES} minutes: use elman predict for it`);
      sound.clear(seconds);
      const began = performance.now();
      if (isLive) {
        await begin(null);
        await play(samples);
        await finish();
      } else {
        text.textContent = "";
        [utterance, words] = [0, 0];
        sound.push(samples, rate);
        add({ words: await transcribe(model.id, chosen, signal), tentative: "", utterance: 0 });
        count();
      }
      const took = (performance.now() - began) / 1000;
      facts.textContent = `${chosen.name}: ${seconds.toFixed(1)} s of sound in ${took.toFixed(1)} s. ${facts.textContent}`;
    } catch (error) {
      failed.show(error);
    }
    button.disabled = !isLive;
    file.value = "";
  }

  async function play(samples) {
    const size = Math.round(rate * CHUNK_SECONDS);
    for (let k = 0; k * size < samples.length; k += 1) {
      while (k - answered >= MAX_AHEAD && !signal.aborted)
        await new Promise((resolve) => setTimeout(resolve, 5));
      if (signal.aborted || session.socket.readyState !== WebSocket.OPEN)
        throw new Error("the connection to the server has ended");
      const part = samples.slice(k * size, (k + 1) * size);
      sound.push(part, rate);
      session.tell(part.buffer);
    }
  }

  signal.addEventListener("abort", () => microphone?.stop());
  root.append(
    heading(
      "Speech",
      isLive
        ? "Words stand as soon as they are certain. What is dim may still change."
        : "This model reads a recording both ways, so it can’t hear live: open a recording.",
      chooser(context),
    ),
    dropZone(
      h(
        "section",
        { class: "panel stack speech-panel", "aria-label": "Speech" },
        h(
          "div",
          { class: "row" },
          button,
          h("label", { for: "file", class: "button", text: "Open a recording" }),
          file,
          h("span", { class: "soft wide", text: "or drop one here" }),
        ),
        level,
        sound.element,
        failed.element,
        text,
        facts,
      ),
      take,
    ),
    h("p", {
      class: "soft",
      text: `${known(model)} It hears at ${rate} samples a second. Sound goes to this server alone and is not kept.`,
    }),
  );
}
