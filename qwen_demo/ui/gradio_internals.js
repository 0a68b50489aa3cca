// Gradio's own elements, where a keyboard or a screen reader cannot use them or they speak English alone.
// It looks at what is new after every change of the page, as Gradio draws them anew; a long conversation is not gone through again.

const named = (name) => {
  const prefix = Object.keys(words.names).find((known) => known.endsWith(" ") && name.startsWith(known));
  return prefix ? words.names[prefix] + name.slice(prefix.length) : words.names[name];
};

// Asked once, and where there is a model: the answer takes a context of the few that a browser gives.
let webgl = null;
const draws3d = () => {
  const context = webgl === null && ["webgl2", "webgl"].map((kind) => document.createElement("canvas").getContext(kind)).find(Boolean);
  context?.getExtension?.("WEBGL_lose_context")?.loseContext();
  return (webgl ??= Boolean(context));
};

const REPAIRS = {
  // A list with buttons in place of items.
  "#chat .examples[role=list]": (node) => node.setAttribute("role", "group"),
  // An attached file, an item without a list.
  ".thumbnail-wrapper[role=listitem]": (node) => node.setAttribute("role", "group"),
  // The button around an image has no name.
  ":is(#chat, #points-views) .image-container > button:not([aria-label])": (node) => node.setAttribute("aria-label", words.enlarge),
  // A button without a name inside of the note's own button, for the same.
  "#chat .title[role=button] > .arrow:not([inert])": (node) => { node.inert = true; },
  // A button around the button that closes it.
  ".toast-header[role=button]": (node) => { node.removeAttribute("role"); node.removeAttribute("tabindex"); },
  ".toast-title.error": (node) => { if (node.firstChild.data.trim() !== words.error) node.firstChild.data = `${words.error} `; },
  // The connection is the header's to tell. What was cut goes on once the server answers, see `connection.js`.
  ".toast-body:not([data-told])": (node) => {
    node.dataset.told = "";
    if (!node.textContent.includes("Attempting reconnection")) return;
    node.querySelector(".toast-close")?.click();
    dispatchEvent(new CustomEvent("qwen-demo-cut"));
  },
  // Code that scrolls; a keyboard scrolls what has the focus.
  "#chat .code_wrap > pre:not([tabindex])": (node) => { node.tabIndex = 0; },
  // A table that scrolls where there is little room.
  "#chat .md:has(table.waterfall):not([tabindex])": (node) => { node.tabIndex = 0; },
  // A box without a role may have no name; the heading over an empty one says what it is for.
  ".unpadded_box[aria-label]": (node) => node.removeAttribute("aria-label"),
  // The whole message once more, with its HTML read out as words.
  "#chat [data-testid=user][aria-label], #chat [data-testid=bot][aria-label]": (node) => node.removeAttribute("aria-label"),
  // The camera's words, after their image.
  "button .icon-wrap": ({ nextSibling: text }) => {
    const better = named(text?.data?.trim() ?? "");
    if (better) text.data = ` ${better}`;
  },
  // What is written from the right is laid out from the right; lists and tables as a whole.
  "#chat .md :is(ul, ol, table, blockquote):not([dir]), textarea:not([dir=auto])": (node) => { node.dir = "auto"; },
  // A table that is wider than the answer scrolls; a keyboard scrolls what has the focus.
  "#chat .md table:not([tabindex])": (node) => { if (node.scrollWidth > node.clientWidth) node.tabIndex = 0; },
  // Names that an answer gives to its HTML, which scripts would take for the page's own; drawings refer to theirs.
  "#chat .md :is([id], [name]):not(svg, svg *)": (node) => { node.removeAttribute("id"); node.removeAttribute("name"); },
  // Fields of an answer, whose own style could show them again.
  "#chat .md :is(input, textarea, select, dialog)[style]": (node) => node.removeAttribute("style"),
  // Places as the model wrote them are not those of the panel beside it.
  "#chat .bot .message-content > .md": (node) => {
    const told = node.parentNode.querySelector(":scope > .model-pixels");
    if (!/"(bbox|point)_2d"/.test(node.textContent)) return told?.remove();
    if (!told) node.after(Object.assign(document.createElement("p"), { className: "model-pixels", textContent: words.model_pixels }));
  },
  // A model that is to be turned, in a browser that cannot draw it: Gradio leaves the place empty.
  ":is(#points-model, #chat .model3D) canvas": (canvas) => {
    if (canvas.hidden || draws3d()) return;
    canvas.hidden = true;
    canvas.after(Object.assign(document.createElement("p"), { className: "no-webgl", textContent: words.no_webgl }));
  },
  "[aria-label], [title]": (node) => {
    for (const attribute of ["aria-label", "title"]) {
      const name = node.getAttribute(attribute), better = name && named(name);
      if (better && better !== name) node.setAttribute(attribute, better);
    }
  },
};

// For each of the conversation's messages, without the page's notes, the place for buttons under it; null where it is not drawn.
function rows(messages) {
  const there = [...document.querySelectorAll("#chat .message-wrap > .message-row")];
  const users = there.filter((row) => row.classList.contains("user-row"));
  let asked = -1 - window.qwenDemo.longChat.held().asked;
  return messages.map(({ role }) => {
    if (role === "user") asked += 1;
    const question = users[asked], row = role === "user" || !question ? question : there[there.indexOf(question) + 1];
    const right = row && row.classList.contains(role === "user" ? "user-row" : "bot-row");
    return right && row.nextElementSibling?.classList.contains("message-buttons") ? row.nextElementSibling : null;
  });
}

// Buttons of ours in such a place stand in one order, whichever is drawn first.
const ORDER = ["look", "correct", "versions", "correction"];
const rankOf = (node) => ORDER.findIndex((name) => node.classList?.contains(name));
function place(host, node) {
  const rank = rankOf(node);
  host.insertBefore(node, [...host.children].find((other) => rankOf(other) > rank) ?? null);
}

window.qwenDemo = { ...window.qwenDemo, rows, place, repairs: REPAIRS };

// New elements are looked through; what they stand in is looked at, as its name may be another one now.
const MANY = 60;
let fresh = new Set(), around = new Set();

function repair() {
  const whole = fresh.size > MANY, roots = whole ? [document] : [...fresh], outer = whole ? [] : [...around];
  fresh = new Set();
  around = new Set();
  for (const [selector, change] of Object.entries(REPAIRS)) {
    for (const node of [...roots, ...outer]) if (node.isConnected && node.matches?.(selector)) change(node);
    for (const node of roots) if (node.isConnected) node.querySelectorAll(selector).forEach(change);
  }
}

new MutationObserver((changes) => {
  if (!fresh.size && !around.size) requestAnimationFrame(repair);
  for (const { target, addedNodes } of changes) {
    for (const node of addedNodes) if (node instanceof Element) fresh.add(node);
    if (target instanceof Element) [target, target.closest("button, [role=button]"), target.closest(".md")].forEach((node) => node && around.add(node));
  }
}).observe(document, { childList: true, subtree: true });

// An empty chat begins at its top; Gradio scrolls it to its end whenever it is drawn.
const GESTURE_MS = 1500;
let moved = -GESTURE_MS;
for (const gesture of ["wheel", "touchmove", "keydown"]) document.addEventListener(gesture, () => { moved = performance.now(); }, { capture: true, passive: true });
// On the scroll bar itself.
document.addEventListener("pointerdown", ({ target }) => { if (target.matches?.(".bubble-wrap")) moved = Infinity; }, true);
document.addEventListener("pointerup", () => { if (moved === Infinity) moved = performance.now(); }, true);
document.addEventListener("scroll", ({ target }) => {
  if (target.matches?.("#chat .bubble-wrap:has(> .placeholder-content)") && target.scrollTop && performance.now() - moved > GESTURE_MS) target.scrollTop = 0;
}, { capture: true, passive: true });

// Enter sends nothing while something is answered: the words stay in the box, where Gradio would begin a second answer.
// Nor while a conversation is being opened: it would be asked of what stands in the chat before, see `conversations.js`.
const isAnswering = () => Boolean(document.querySelector("#question .stop-button"));
const isOpening = () => document.documentElement.classList.contains("opening");
const hold = (event) => {
  event.preventDefault();
  event.stopImmediatePropagation();
};
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches?.("#question textarea")) return;
  if (isAnswering() || isOpening()) hold(event);
}, true);

// Retry stands before Undo, by whatever name. Gradio turns it off while its chat is told of progress, which it is not, see `PRIVATE`:
// a second answer would be written over the first one, and the first one over that.
const RETRY = "#chat .bot-row + .message-buttons .icon-button-wrapper button:nth-last-of-type(2)";
document.addEventListener("click", (event) => {
  const { target } = event;
  if ((target.closest?.(RETRY) && isAnswering()) || (target.closest?.("#question .submit-button") && isOpening())) hold(event);
}, true);

// A system that has no type for a film's name gives none, and Gradio's player refuses the file by its type.
const FILMS = { mov: "video/quicktime", qt: "video/quicktime", "3gp": "video/3gpp", "3gpp": "video/3gpp", "3g2": "video/3gpp2",
  m4v: "video/mp4", mp4: "video/mp4", mkv: "video/x-matroska", webm: "video/webm", avi: "video/x-msvideo" };

const typed = (file) => {
  const type = FILMS[file.name.split(".").pop().toLowerCase()];
  return type && !file.type.startsWith("video/") ? new File([file], file.name, { type, lastModified: file.lastModified }) : file;
};

document.addEventListener("change", ({ target }) => {
  if (!(target instanceof HTMLInputElement) || target.type !== "file") return;
  const files = [...target.files], better = files.map(typed);
  if (better.every((file, place) => file === files[place])) return;
  const transfer = new DataTransfer();
  better.forEach((file) => transfer.items.add(file));
  target.files = transfer.files;
}, true);
