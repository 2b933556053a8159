// A conversation, and which words moved each reply.

import { h, percent, problem, say } from "../lib/dom.js";
import { Session } from "../lib/session.js";
import { keep, kept } from "../lib/place.js";
import { chooser, heading } from "../parts/head.js";

const MAX_KEPT = 40; // turns of the reader that are said again on reload

export async function show(root, context) {
  const { model, params, signal, note } = context;
  const failed = problem();
  const session = new Session(model.id, { signal });
  let said = [];
  let began = 0;
  const log = h("ol", { class: "talk", role: "log", "aria-label": "Conversation", tabindex: "0" });
  const field = h("input", {
    id: "say",
    type: "text",
    autocomplete: "off",
    maxlength: "2000",
    placeholder: "Say something",
  });
  const send = h("button", { class: "main", text: "Say" });
  const form = h(
    "form",
    {
      class: "say",
      on: {
        submit: (event) => {
          event.preventDefault();
          submit();
        },
      },
    },
    h("label", { for: "say", class: "hidden", text: "Your turn" }),
    field,
    send,
  );
  const anew = h("button", {
    type: "button",
    class: "plain",
    text: "Begin anew",
    on: { click: () => begin([]) },
  });

  function remember() {
    keep(`chat.${model.id}`, said.slice(-MAX_KEPT));
    note({ say: said.length ? JSON.stringify(said) : "" });
  }

  async function begin(turns) {
    said = [];
    log.replaceChildren();
    failed.clear();
    try {
      await session.ask({ reset: {} });
      began = session.began;
      for (const text of turns) await turn(text);
    } catch (error) {
      failed.show(error);
    }
    remember();
    empty.hidden = said.length > 0;
  }

  /** Say something; show it and the reply. Replies to the same turns are the same. */
  async function turn(text) {
    empty.hidden = true;
    const mine = bubble("you", text);
    log.append(mine);
    const waiting = h(
      "li",
      { class: "turn bot waiting", "aria-label": "Writing" },
      h("span"),
      h("span"),
      h("span"),
    );
    log.append(waiting);
    waiting.scrollIntoView({ block: "nearest" });
    try {
      await session.ask({ push: text });
      const { result } = await session.ask({ result: {} });
      said.push(text);
      const reply = bubble("bot", result, () => why(reply));
      waiting.replaceWith(reply);
      for (const other of log.querySelectorAll(".why")) other.hidden = other !== reply.querySelector(".why");
      reply.scrollIntoView({ block: "nearest" });
    } catch (error) {
      waiting.remove();
      mine.remove();
      field.value ||= text;
      throw error;
    }
  }

  async function submit() {
    const text = field.value.trim();
    if (!text || send.disabled) return;
    field.value = "";
    send.disabled = true;
    failed.clear();
    try {
      await session.ready();
      if (session.began !== began) await begin(said); // the connection was lost: say it all again
      await turn(text);
      remember();
    } catch (error) {
      failed.show(error);
    }
    send.disabled = false;
    field.focus();
  }

  async function why(reply) {
    const button = reply.querySelector(".why");
    button.disabled = true;
    try {
      const { why: words } = await session.ask({ why: {} });
      const largest = Math.max(1e-9, ...words.map(([, share]) => share));
      const shown = words.slice(-80).map(([text, share]) => {
        const word = h("span", { class: "word for", text, title: `${percent(share)} of the reply` });
        word.style.setProperty("--force", (share / largest).toFixed(3));
        return word;
      });
      const strong = [...words]
        .sort((a, b) => b[1] - a[1])
        .slice(0, 3)
        .map(([text, share]) => `“${text}” ${percent(share)}`);
      button.replaceWith(
        h(
          "div",
          { class: "because" },
          h("p", { class: "soft", text: "What moved this reply" }),
          h("p", { class: "words small" }, ...shown),
        ),
      );
      say(`Moved most by ${strong.join(", ")}`, 0);
    } catch (error) {
      button.disabled = false;
      failed.show(error);
    }
  }

  const empty = h("p", {
    class: "soft empty",
    text: "It knows a few hundred lines. Say hello, ask its name, or what it likes.",
  });
  root.append(
    heading(
      "Chat",
      "Every turn is read into the hidden state; a reply costs the same after the tenth turn and the thousandth.",
      chooser(context),
    ),
    h(
      "div",
      { class: "panel talk-panel" },
      empty,
      log,
      failed.element,
      form,
      h("p", { class: "row end" }, anew),
    ),
  );
  field.focus({ preventScroll: true });
  await begin(asked(params.say) ?? kept(`chat.${model.id}`, []));
}

function asked(text) {
  try {
    const turns = JSON.parse(text);
    return Array.isArray(turns)
      ? turns.filter((turn) => typeof turn === "string" && turn.trim()).slice(0, MAX_KEPT)
      : null;
  } catch {
    return null;
  }
}

function bubble(who, text, why = null) {
  return h(
    "li",
    { class: `turn ${who}` },
    h("span", { class: "hidden", text: who === "you" ? "You: " : "Bot: " }),
    h("p", { text }),
    why ? h("button", { type: "button", class: "plain why", text: "Why?", on: { click: why } }) : null,
  );
}
