// Where the reader is: the address says what is seen, and the browser keeps what was typed.

const MAX_ADDRESS = 60000; // characters; browsers take more, but what passes links on may not

/** "#/text/reviews?text=…" → {view, model, params}. */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", model = ""] = path.split("/").map(decodeURIComponent);
  return { view, model, params: Object.fromEntries(new URLSearchParams(query)) };
}

export function address(view, model = "", params = {}) {
  const kept = Object.entries(params).filter(
    ([, value]) => value !== "" && value !== null && value !== undefined,
  );
  const query = new URLSearchParams(kept).toString();
  const path = [view, model].filter(Boolean).map(encodeURIComponent).join("/");
  return `#/${path}${query ? `?${query}` : ""}`;
}

/** Put what is seen into the address, without a step in the browser's history; return whether there is room. */
export function note(view, model, params) {
  const next = address(view, model, params);
  const fits = next.length <= MAX_ADDRESS;
  history.replaceState(null, "", fits ? next : address(view, model));
  return fits;
}

export function keep(name, value) {
  try {
    localStorage.setItem(`elman.${name}`, JSON.stringify(value));
  } catch {
    // a full or forbidden store: the page works without
  }
}

export function kept(name, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(`elman.${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Text → a short text for an address, and back. */
export async function packed(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export async function unpacked(short) {
  const bytes = Uint8Array.from(atob(short.replaceAll("-", "+").replaceAll("_", "/")), (mark) =>
    mark.charCodeAt(0),
  );
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}
