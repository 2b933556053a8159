// The server: requests, their errors in words, and the key where it asks for one.

const KEY = "elman.key";
const AWAY = "the server does not answer: look whether elman serve still runs";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export function key() {
  return sessionStorage.getItem(KEY) || "";
}

let asking = null;

/** Ask for the key in a small form; all that wait for it share one. */
function askForKey() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("key-dialog");
    const field = document.getElementById("key");
    document.getElementById("key-wrong").textContent = key() ? "That is not the key." : "";
    dialog.addEventListener(
      "close",
      () => {
        if (field.value) sessionStorage.setItem(KEY, field.value);
        field.value = "";
        asking = null;
        resolve();
      },
      { once: true },
    );
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
  });
  return asking;
}

async function answered(path, options) {
  for (;;) {
    const headers = { ...options.headers };
    if (key()) headers.authorization = `Bearer ${key()}`;
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      throw error.name === "AbortError" ? error : new ApiError(AWAY, 0);
    }
    if (response.status !== 401) return response;
    await askForKey();
  }
}

async function failure(response) {
  try {
    return new ApiError((await response.json()).error.message, response.status);
  } catch {
    return new ApiError(`the server answered ${response.status}`, response.status);
  }
}

export async function get(path, signal) {
  const response = await answered(path, { signal });
  if (!response.ok) throw await failure(response);
  return response.json();
}

export async function post(path, value, signal) {
  const headers = { "content-type": "application/json" };
  const response = await answered(path, { method: "POST", headers, body: JSON.stringify(value), signal });
  if (!response.ok) throw await failure(response);
  return response.json();
}

export const models = async (signal) => (await get("v1/models", signal)).data;
export const model = (id, signal) => get(`v1/models/${encodeURIComponent(id)}`, signal);
export const look = (id, input, views, signal) =>
  post(`v1/look/${encodeURIComponent(id)}`, { input, views }, signal);
export const predict = async (id, input, options, signal) =>
  (await post(`v1/predict/${encodeURIComponent(id)}`, { input, options }, signal)).answers;

/** Return the words of a recording: {text, start, end}. */
export async function transcribe(id, file, signal) {
  const body = new FormData();
  body.append("model", id);
  body.append("file", file);
  body.append("response_format", "verbose_json");
  body.append("timestamp_granularities[]", "word");
  const response = await answered("v1/audio/transcriptions", { method: "POST", body, signal });
  if (!response.ok) throw await failure(response);
  return (await response.json()).words.map(({ word, start, end }) => ({ text: word, start, end }));
}

/** Call a function with each message of a stream of server-sent events, until it ends. */
export async function follow(path, call, signal) {
  const response = await answered(path, { signal });
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter((line) => line.startsWith("data: "));
      if (data.length) call(JSON.parse(data.map((line) => line.slice(6)).join("\n")));
    }
  }
}
