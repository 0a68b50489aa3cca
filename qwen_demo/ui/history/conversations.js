// Conversations in this browser's storage. Whatever lies there is checked for shape here and for content by the server.

const root = element.querySelector(".conversations");
// Who shares a browser and has a login of their own sees their own ones.
const user = window.gradio_config?.username;
const STORE = `qwen-demo.conversations${user ? `.of.${user}` : ""}`;
const MAX_KEPT = 50;
const MAX_CHARACTERS = 2_000_000;
const TYPES = { markdown: ["md", "text/markdown"], json: ["json", "application/json"], html: ["html", "text/html"] };

const count = make("span", { class: "count" });
const search = make("input", { type: "search", "aria-label": words.search, placeholder: words.search, oninput: () => show() });
const state = make("p", { class: "state", role: "status" });
const list = make("ul", { class: "kept" });
root.append(make("details", { class: "panel" }, make("summary", {}, words.title, " ", count),
  make("p", { class: "intro" }, words.intro), search, state, list));

let current = null;  // id of the conversation in the chat
let nonce = null;
let sure = null;  // id of the one that a second click deletes
let renaming = null;
let notice = "";

const isMessage = (message) => message && ["user", "assistant"].includes(message.role) && Array.isArray(message.parts);
const isKept = (item) => item && typeof item.id === "string" && typeof item.name === "string" && Number.isFinite(item.time)
  && Array.isArray(item.messages) && item.messages.every(isMessage);

function load() {
  try {
    const found = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    return Array.isArray(found) ? found.filter(isKept).slice(0, MAX_KEPT) : [];
  } catch {
    return [];
  }
}

// Newest first. The oldest go until the rest fits.
function store(items) {
  notice = "";
  for (let kept = items.slice(0, MAX_KEPT); ; kept = kept.slice(0, -1)) {
    const text = JSON.stringify(kept);
    if (text.length <= MAX_CHARACTERS || !kept.length) {
      try {
        localStorage.setItem(STORE, text);
        if (kept.length < items.length) notice = words.dropped;
        return;
      } catch {
        if (!kept.length) {
          notice = words.blocked;
          return;
        }
      }
    }
  }
}

function keep(saved) {
  if (!saved.messages.length) {
    current = null;
    return;
  }
  const items = load();
  const old = items.find((item) => item.id === current);
  current ??= crypto.randomUUID?.() ?? String(Date.now()) + Math.random();
  const item = { id: current, name: old?.named ? old.name : saved.name, named: old?.named ?? false, time: Date.now(), messages: saved.messages };
  store([item, ...items.filter((other) => other.id !== current)]);
}

const changed = (id, change) => store(load().map((item) => (item.id === id ? { ...item, ...change } : item)));
const wordsOf = (item) => [item.name, ...item.messages.flatMap((message) => message.parts.map((part) => String(part?.text ?? "")))].join("\n").toLowerCase();

function rename(id, name) {
  renaming = null;
  if (name.trim()) changed(id, { name: name.trim().slice(0, 120), named: true });
  show(`rename ${id}`);
}

function remove(id) {
  if (sure !== id) {
    sure = id;
    return show(`delete ${id}`);
  }
  sure = null;
  store(load().filter((item) => item.id !== id));
  if (current === id) current = null;
  show();
  search.focus();
}

function button(key, text, label, action, name = "quiet") {
  return make("button", { type: "button", class: name, "data-key": key, "aria-label": label, onclick: action }, text);
}

function row(item) {
  const { id, name } = item;
  const title = renaming === id
    ? make("input", { class: "name", "data-key": `name ${id}`, "aria-label": words.name, value: name, maxlength: "120",
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== "Escape") return;
        event.preventDefault();  // else Enter would press the button that gets the focus next
        rename(id, event.key === "Enter" ? event.target.value : "");
      } })
    : make("button", { type: "button", class: "open", "data-key": `open ${id}`, "aria-label": fill(words.open, { name }),
      onclick: () => trigger("reopen", { id, messages: item.messages }) },
    make("span", { class: "name" }, name),
    make("span", { class: "facts" }, [new Date(item.time).toLocaleString(language), fill(item.messages.length === 1 ? words.message : words.messages, { count: item.messages.length }),
      id === current ? words.current : ""].filter(Boolean).join(" · ")));
  const exports_ = Object.keys(TYPES).map((kind) => button(`${kind} ${id}`, words[kind], fill(words.export_of, { name, kind: words[kind] }),
    () => trigger("export", { kind, name, messages: item.messages })));
  return make("li", { class: id === current ? "current" : "" }, title, make("div", { class: "row" }, ...exports_,
    button(`rename ${id}`, words.rename, fill(words.rename_of, { name }), () => { renaming = id; show(`name ${id}`); }),
    button(`delete ${id}`, sure === id ? words.sure : words.delete, fill(sure === id ? words.sure_of : words.delete_of, { name }), () => remove(id))));
}

function show(focus = null) {
  const items = load();
  const wanted = search.value.trim().toLowerCase();
  const found = wanted ? items.filter((item) => wordsOf(item).includes(wanted)) : items;
  count.textContent = items.length ? `(${items.length})` : "";
  search.hidden = !items.length;
  state.textContent = [notice, !items.length ? words.none : !found.length ? words.nothing : ""].filter(Boolean).join(" ");
  list.replaceChildren(...found.map(row));
  if (focus) [...root.querySelectorAll("[data-key]")].find((node) => node.dataset.key === focus)?.focus();
}

function update() {
  const value = props.value ?? {};
  if (!value.nonce || value.nonce === nonce) return;
  nonce = value.nonce;
  if (value.save) keep(value.save);
  if (value.opened) current = value.opened;
  if (value.file) {
    const [ending, type] = TYPES[value.file.kind];
    saveText(`conversation.${ending}`, type, value.file.text);
  }
  show();
}

window.addEventListener("storage", (event) => event.key === STORE && show());
watch("value", update);
show();
