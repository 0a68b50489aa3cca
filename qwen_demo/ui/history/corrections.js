// What a person says should have been answered, beneath each answer: shown, changed in its place, kept by `conversations.js`.
// It stands beside the chat, not in it: nothing that streams into the chat can take it away.

const make = (tag, attributes, ...children) => {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
};
const PEN = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 20h4L19 9l-4-4L4 16zM13 7l4 4M13 20h7"/></svg>';

let open = null;  // {key, text}: which one is being written, and its words so far
let shown = null;  // what `show` was called with

const textOf = (message) => message.parts.map((part) => part?.text ?? "").join("");
const keyOf = (item, place) => JSON.stringify([item.id, place, item.lines[item.at][place].parts]);
const { place } = window.qwenDemo;
const owns = (node) => Boolean((node.closest ? node : node.parentElement)?.closest(".correct, .correction"));

function begin(item, place) {
  const message = item.lines[item.at][place];
  open = { key: keyOf(item, place), text: message.corrected ?? textOf(message) };
  show(...shown);
  document.querySelector("#chat .correction textarea")?.focus();
}

function end(place) {
  open = null;
  show(...shown);
  shown[1][place]?.querySelector(".correct")?.focus();
}

function form(item, place, save) {
  const message = item.lines[item.at][place];
  const field = make("textarea", { rows: 2, dir: "auto", value: open.text, oninput: () => { open.text = field.value; } });
  field.setAttribute("aria-label", words.field);
  const keep = () => {
    const text = field.value.trim();
    save(item.id, item.lines[item.at], place, text === textOf(message).trim() ? "" : text);
    end(place);
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") end(place);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (event.preventDefault(), keep());
  });
  return make("div", { className: "correction" }, field, make("div", {}, make("small", {}, words.hint),
    make("button", { type: "button", onclick: () => end(place) }, words.cancel),
    make("button", { type: "button", className: "strong", onclick: keep }, words.keep)));
}

function partOf(item, place, save) {
  const message = item.lines[item.at][place];
  if (open?.key === keyOf(item, place)) return form(item, place, save);
  if (!message.corrected) return null;
  return make("div", { className: "correction" }, make("strong", {}, words.corrected), make("p", { dir: "auto" }, message.corrected));
}

// rows: for each message of the shown line the place for buttons under it, or null; save: (id, line, place, text) -> nothing.
function show(item, rows, save) {
  shown = [item, rows, save];
  const wanted = new Set();
  rows.forEach((host, at) => {
    const message = item.lines[item.at][at];
    if (!host || message.role !== "assistant" || message.whole === false) return;
    wanted.add(host);
    const key = JSON.stringify([keyOf(item, at), message.corrected, open?.key === keyOf(item, at)]);
    if (host.dataset.corrected === key && host.querySelector(":scope > .correct")) return;
    clear(host);
    const button = make("button", { type: "button", className: "correct", title: words.correct, innerHTML: PEN, onclick: () => begin(item, at) });
    button.setAttribute("aria-label", words.correct);
    for (const node of [button, partOf(item, at, save)]) if (node) place(host, node);
    host.dataset.corrected = key;
  });
  for (const host of document.querySelectorAll("#chat [data-corrected]")) if (!wanted.has(host)) clear(host);
}

function clear(host) {
  for (const node of host.querySelectorAll(":scope > .correct, :scope > .correction")) node.remove();
  delete host.dataset.corrected;
}

window.qwenDemo = { ...window.qwenDemo, corrections: { show, owns } };
