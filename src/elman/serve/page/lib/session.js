// A live session: a stream of a model at the other end of a websocket.

import { ApiError, key } from "./api.js";

const RETRY = 3000; // milliseconds
const GONE = "the connection to the server has ended: it begins anew with the next word";

function address(model) {
  const here = new URL(`v1/stream/${encodeURIComponent(model)}`, document.baseURI);
  here.protocol = here.protocol.replace("http", "ws");
  here.hash = "";
  return here;
}

export class Session {
  /** `heard` is called with the answers to binary messages. */
  constructor(model, { options = null, heard = () => {}, signal } = {}) {
    this.model = model;
    this.options = options;
    this.heard = heard;
    this.waiting = new Map();
    this.last = 0;
    this.began = 0; // connections so far: what was pushed before the last one is forgotten
    signal?.addEventListener("abort", () => this.close());
  }

  async ready() {
    if (!this.opening || this.socket.readyState > WebSocket.OPEN) this.opening = this.connect();
    await this.opening;
  }

  async connect() {
    const protocols = key() ? ["elman", `openai-insecure-api-key.${encoded(key())}`] : [];
    const socket = new WebSocket(address(this.model), protocols);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.began += 1;
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve, { once: true });
      socket.addEventListener("close", () => reject(new ApiError("the server refused a live session", 0)), {
        once: true,
      });
    });
    socket.addEventListener("message", (event) => this.receive(JSON.parse(event.data)));
    socket.addEventListener("close", () => this.lost());
    if (this.options) await this.sent({ open: this.options });
  }

  lost() {
    for (const { reject } of this.waiting.values()) reject(new ApiError(GONE, 0));
    this.waiting.clear();
  }

  receive(message) {
    const waiting = this.waiting.get(message.id);
    if (!waiting) {
      this.heard(message);
    } else if ("piece" in message) {
      waiting.piece(message.piece);
    } else {
      this.waiting.delete(message.id);
      if (message.error) waiting.reject(new ApiError(message.error.message, 422));
      else waiting.resolve(message);
    }
  }

  /** Send a message; return its answer. `piece` is called with what is written before. */
  async ask(message, piece = () => {}) {
    await this.ready();
    return this.sent(message, piece);
  }

  sent(message, piece = () => {}) {
    const id = (this.last += 1);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, piece });
      this.socket.send(JSON.stringify({ ...message, id }));
    });
  }

  /** Send a message without waiting, such as one that stops the writing, or samples. */
  tell(content) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(content instanceof ArrayBuffer ? content : JSON.stringify(content));
  }

  /** How many bytes wait to be sent. */
  get behind() {
    return this.socket?.bufferedAmount ?? 0;
  }

  close() {
    this.isClosed = true;
    this.waiting.clear();
    this.socket?.close();
  }
}

/** A key as the name of a subprotocol, the one way by which a page can send it with a websocket. */
function encoded(text) {
  return encodeURIComponent(text).replace(/[()]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`);
}

/** Keeps a stream at what a text field holds: pushes what was added, and begins anew where more was changed. */
export class Follower {
  constructor(session, { result, show, fail }) {
    this.session = session;
    this.result = result; // the options of each result
    this.show = show; // called with the text, all that was pushed back, and the result
    this.fail = fail;
    this.restart();
  }

  restart() {
    this.read = "";
    this.pushed = [];
    this.began = this.session.began;
  }

  async update(text) {
    this.wanted = text;
    this.latest = text;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.wanted !== undefined) await this.step();
    } catch (error) {
      this.wanted = undefined;
      this.restart();
      this.began = -1;
      this.fail(error);
      // the server may come back
      if (error.status === 0) setTimeout(() => this.again(text), RETRY);
    } finally {
      this.busy = false;
    }
  }

  /** Try again what has failed, unless more was typed or the view was left. */
  again(text) {
    if (!this.session.isClosed && !this.busy && text === this.latest) this.update(text);
  }

  async step() {
    const text = this.wanted;
    this.wanted = undefined;
    await this.session.ready();
    if (this.began !== this.session.began) this.restart();
    if (!text.startsWith(this.read)) {
      await this.session.ask({ reset: {} });
      this.restart();
    }
    const rest = text.slice(this.read.length);
    if (rest) {
      const answer = await this.session.ask({ push: rest });
      this.read = text;
      this.pushed.push(...(answer.pushed || []));
    }
    const { result } = await this.session.ask({ result: this.result() });
    if (this.wanted === undefined) this.show(text, this.pushed, result);
  }
}
