// The list of conversations: this browser keeps them, see `store.js`. Here they are saved, shown, opened, renamed, exported, deleted.

const root = element.querySelector(".conversations");
const { store, corrections, rows: chatRows } = window.qwenDemo;
const CURRENT = "qwen-demo.current", TRIED = "qwen-demo.tried";
const TYPES = { markdown: ["md", "text/markdown"], json: ["json", "application/json"], html: ["html", "text/html"], training: ["jsonl", "application/jsonl"] };
const THUMB = 64, OPENING_MS = 15_000, GOING_ON_MS = 2000;

const count = make("span", { class: "count" });
const search = make("input", { type: "search", "aria-label": words.search, placeholder: words.search, oninput: () => show() });
const state = make("p", { class: "state", role: "status" });
const list = make("div", { class: "kept" });
const fresh = make("button", { type: "button", class: "new", onclick: () => begin() },
  draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: "M12 5v14M5 12h14" })), words.new);
root.append(make("div", { class: "head" }, fresh, search), state, list, make("p", { class: "intro" }, words.intro, " ", count));

let items = [];
let current = null;  // id of the conversation in the chat
let nonce = null;
let sure = null;  // id of the one that a second click deletes
let renaming = null;
let unfolded = null;
let notice = "";
let waiting = null;  // the conversation whose files are looked for
let goesOn = null;  // what the cut answer of the conversation that is being opened was asked with, see `go_on.py`
let asked = [];  // what this tab has sent to be answered, without what was written of the answer
let work = Promise.resolve();

const complain = (error) => { notice = error?.name === "QuotaExceededError" ? words.full : words.blocked; show(); };
// One after the other: what is saved later must not be overtaken.
const then = (action) => {
  work = work.then(action).catch(complain);
  return work;
};
const setCurrent = (id) => {
  current = id;
  try { id ? sessionStorage.setItem(CURRENT, id) : sessionStorage.removeItem(CURRENT); } catch {}
};
const shownTab = () => document.querySelector('#tabs [role="tab"]');

async function refresh() {
  items = await store.all();
  show();
}

// ---- saving

async function write(id, action) {
  try {
    await action();
  } catch (error) {
    // No room on the disk: the oldest goes with its files, then once more.
    const oldest = error?.name === "QuotaExceededError" && (await store.all()).filter((other) => other.id !== id).at(-1);
    if (!oldest) throw error;
    await store.remove(oldest.id);
    await store.prune();
    notice = words.dropped;
    await action();
  }
}

async function keep(saved) {
  if (!saved.messages.length) return setCurrent(null);
  const old = current && (await store.get(current));
  asked = saved.messages.filter((message) => message.whole !== false);
  // What was stopped, or ended in an error, can go on with what it was asked with.
  const end = saved.messages.at(-1);
  if (end.whole === false && saved.asking === undefined && old?.asking) end.params ??= old.asking;
  if (!old) setCurrent(crypto.randomUUID?.() ?? `${Date.now()}${Math.random()}`);
  const base = old ?? { id: current, named: false, lines: [saved.messages], at: 0 };
  const item = { ...store.grown(base, saved.messages), name: base.named ? base.name : saved.name, time: Date.now(), asking: saved.asking };
  await write(current, () => store.put(item));
  // A file for which there is no room leaves the words kept, and what is too much is pruned all the same.
  for (const path of store.filesOf(item)) await write(current, () => store.keepFile(path)).catch(complain);
  const thumb = item.thumb ?? (await thumbOf(item));
  // Another tab may have renamed it meanwhile, or gone on with it.
  const now = thumb && !item.thumb && (await store.get(current));
  if (now) await store.put({ ...now, thumb });
  if (await store.prune()) notice = words.dropped;
  store.tell();
  await refresh();
}

// The answer so far, should the page go before it is whole.
async function keepPart(text) {
  const item = current && (await store.get(current));
  if (!item) return;
  // Another tab may show another line of it, and ask there.
  const at = store.lineOf(item, asked);
  if (at < 0 || asked.at(-1)?.role !== "user") return;
  const lines = [...item.lines];
  lines[at] = [...lines[at].filter((message) => message.whole !== false), { role: "assistant", parts: [{ text }], whole: false, params: item.asking ?? "" }];
  await store.put({ ...item, lines });
}

async function thumbOf(item) {
  const path = store.filesOf(item).find((file) => /\.(png|jpe?g|webp|gif|bmp|avif)$/i.test(file));
  if (!path) return null;
  try {
    const picture = await createImageBitmap(await (await fetch(fileUrl(path))).blob());
    const scale = THUMB / Math.min(picture.width, picture.height);
    const canvas = Object.assign(document.createElement("canvas"), { width: THUMB, height: THUMB });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, THUMB, THUMB);
    pen.drawImage(picture, (THUMB - picture.width * scale) / 2, (THUMB - picture.height * scale) / 2, picture.width * scale, picture.height * scale);
    return canvas.toDataURL("image/webp", 0.7);
  } catch {
    return null;
  }
}

// ---- opening

// What its visitor has left does not go on by itself, neither now nor when it is opened again.
const leave = (id) => then(async () => {
  const item = id && (await store.get(id));
  if (item?.asking) await store.put({ ...item, asking: "" });
});

// Meanwhile nothing is asked: what is asked would be taken for a part of another conversation, or be written over.
let patience = null;
function opening(on, most = OPENING_MS) {
  clearTimeout(patience);
  document.documentElement.classList.toggle("opening", on);
  if (on) patience = setTimeout(opening, most, false);  // where no answer comes
}

// Until what goes on is seen to be answered, which holds questions back by itself.
function begun(until) {
  if (!document.querySelector("#question .stop-button") && performance.now() < until) return setTimeout(begun, 50, until);
  opening(false);
}

function begin() {
  leave(current);
  waiting = goesOn = null;
  opening(false);
  setCurrent(null);
  shownTab()?.click();
  trigger("fresh", {});
  window.qwenDemo.frame.isOpen.rail() && matchMedia("(max-width: 1023px)").matches && window.qwenDemo.frame.change("rail", false);
  show();
  document.querySelector("#question textarea")?.focus();
}

// The server says which files it still has, this browser brings back the others, then the chat shows it.
function open(item, params = null) {
  waiting = item;
  goesOn = params;
  opening(true);
  const files = store.filesOf({ lines: [item.lines[item.at]] });
  if (files.length) trigger("look", { id: item.id, files });
  else trigger("reopen", { id: item.id, messages: item.lines[item.at] });
}

async function bringBack(value) {
  const item = waiting?.id === value.id && (await store.get(value.id));
  if (!item) return;
  const moved = new Map();
  for (const path of value.gone) {
    const fresh = await store.bringBack(path);
    if (fresh) moved.set(path, fresh);
  }
  const named = (message) => ({ ...message, parts: message.parts.map((part) => (moved.has(part.file) ? { ...part, file: moved.get(part.file) } : part)) });
  const found = moved.size ? { ...item, lines: item.lines.map((line) => line.map(named)) } : item;
  if (moved.size) await store.put(found);
  if (waiting?.id !== value.id) return;  // another one was wanted meanwhile
  trigger("reopen", { id: item.id, messages: found.lines[found.at] });
}

// An answer that was cut goes on, once for each word that it has: one that ends its server would do so again and again.
function goOn(item) {
  const key = `${item.id} ${JSON.stringify(item.lines[item.at]).length}`;
  let tried = null;
  try {
    tried = sessionStorage.getItem(TRIED);
    sessionStorage.setItem(TRIED, key);
  } catch {}
  return item.asking && tried !== key ? item.asking : null;
}

// Earlier questions of the one in the chat, see `long_chat.js`.
addEventListener("qwen-demo-earlier", () => trigger("earlier", {}));

// The server was started anew: it has none of the conversation's files.
addEventListener("qwen-demo-back", () => then(async () => {
  const item = current && (await store.get(current));
  if (item && store.filesOf(item).length) open(item);
}));

async function goTo(line) {
  const item = await store.get(current);
  if (!item?.lines[line]) return;
  const found = { ...item, at: line };
  await store.put(found);
  open(found);
}

// ---- versions, beside the buttons under each message

const correct = (id, line, place, text) => then(async () => {
  const item = await store.get(id);
  if (!item) return;
  await store.put(store.corrected(item, line, place, text));
  store.tell();
  await refresh();
});

function showVersions() {
  const shown = items.find(({ id }) => id === current);
  corrections.show(shown, shown ? chatRows(shown.lines[shown.at]) : [], correct);
  for (const old of document.querySelectorAll("#chat .versions")) if (old.dataset.of !== versionsKey()) old.remove();
  const item = items.find(({ id }) => id === current);
  if (!item || item.lines.length < 2) return;
  const places = chatRows(item.lines[item.at]);
  for (const { place, lines, shown } of store.versions(item)) {
    const host = places[place] ?? (place >= item.lines[item.at].length ? places.at(-1) : null);
    if (!host || host.querySelector(":scope > .versions")) continue;
    const step = (by, label, sign) => make("button", { type: "button", "aria-label": label, title: label, disabled: !(shown + by in lines),
      onclick: () => then(() => goTo(lines[shown + by])) }, sign);
    window.qwenDemo.place(host, make("span", { class: "versions", role: "group", "aria-label": words.versions, "data-of": versionsKey() },
      step(-1, words.earlier, "‹"), make("span", {}, `${shown + 1} / ${lines.length}`), step(1, words.later, "›")));
  }
}
const versionsKey = () => {
  const item = items.find(({ id }) => id === current);
  return item ? `${item.id} ${item.at} ${item.lines.length} ${item.lines[item.at].length}` : "";
};
let planned = false;
new MutationObserver((changes) => {
  if (planned || changes.every(({ target, addedNodes }) => target.closest?.(".versions") || corrections.owns(target) || [...addedNodes].some((node) => corrections.owns(node) || node.className === "versions"))) return;
  planned = true;
  requestAnimationFrame(() => { planned = false; showVersions(); });
}).observe(document.querySelector("#chat") ?? document.body, { childList: true, subtree: true });

// ---- the list

const changed = (id, change) => then(async () => {
  const item = await store.get(id);
  if (item) await store.put({ ...item, ...change });
  store.tell();
  await refresh();
});
const wordsOf = (item) => [item.name, ...item.lines.flat().flatMap((message) => [...message.parts.map((part) => String(part?.text ?? "")), String(message.corrected ?? "")])].join("\n").toLowerCase();

// Who has gone on to something else keeps the focus there.
const isFree = () => document.activeElement === document.body || list.contains(document.activeElement);

function rename(id, name) {
  renaming = null;
  if (name.trim()) changed(id, { name: name.trim().slice(0, 120), named: true }).then(() => show(isFree() ? `more ${id}` : null));
  else show(`more ${id}`);
}

function remove(id) {
  if (sure !== id) {
    sure = id;
    return show(`delete ${id}`);
  }
  sure = null;
  if (current === id) begin();
  then(async () => { await store.remove(id); await store.prune(); store.tell(); await refresh(); if (isFree()) search.focus(); });
}

const button = (key, text, label, action) => make("button", { type: "button", "data-key": key, "aria-label": label, onclick: action }, text);

function more(item) {
  const { id, name } = item;
  const exports_ = Object.keys(TYPES).map((kind) => button(`${kind} ${id}`, fill(words.save_as, { kind: words[kind] }), fill(words.export_of, { name, kind: words[kind] }),
    () => trigger("export", { kind, name, messages: item.lines[item.at] })));
  return make("div", { class: "more" },
    button(`rename ${id}`, words.rename, fill(words.rename_of, { name }), () => { renaming = id; show(`name ${id}`); }), ...exports_,
    button(`delete ${id}`, sure === id ? words.sure : words.delete, fill(sure === id ? words.sure_of : words.delete_of, { name }), () => remove(id)));
}

function row(item) {
  const { id, name } = item;
  const about = [new Date(item.time).toLocaleString(language), counted("messages", item.lines[item.at].length, { count: item.lines[item.at].length })].join(" · ");
  const title = renaming === id
    ? make("input", { class: "name", "data-key": `name ${id}`, "aria-label": words.name, value: name, maxlength: "120",
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== "Escape") return;
        event.preventDefault();  // else Enter would press the button that gets the focus next
        event.stopPropagation();
        rename(id, event.key === "Enter" ? event.target.value : "");
      } })
    : make("button", { type: "button", class: "open", "data-key": `open ${id}`, "aria-label": fill(words.open, { name }), title: about,
      "aria-current": id === current ? "true" : null, onclick: () => { leave(current); leave(id); setCurrent(id); shownTab()?.click(); open(item); show(); } },
    item.thumb ? make("img", { src: item.thumb, alt: "" }) : make("span", { class: "no-thumb", "aria-hidden": "true" }), make("span", { class: "name" }, name));
  const fold = make("button", { type: "button", class: "fold", "data-key": `more ${id}`, "aria-label": fill(words.more_of, { name }), "aria-expanded": String(unfolded === id),
    onclick: () => { unfolded = unfolded === id ? null : id; sure = null; show(`more ${id}`); } }, "⋯");
  return make("li", { class: id === current ? "current" : "" }, make("div", { class: "line" }, title, fold), unfolded === id && more(item));
}

function show(focus = null) {
  const wanted = search.value.trim().toLowerCase();
  const found = wanted ? items.filter((item) => wordsOf(item).includes(wanted)) : items;
  const kept = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  count.textContent = items.length ? `(${items.length})` : "";
  search.hidden = !items.length;
  state.textContent = [notice, !items.length ? words.none : !found.length ? words.nothing : ""].filter(Boolean).join(" ");
  const day = (time) => new Date(time).toDateString();
  const today = day(Date.now()), yesterday = day(Date.now() - 86_400_000);
  const groups = [
    [words.today, found.filter(({ time }) => day(time) === today)], [words.yesterday, found.filter(({ time }) => day(time) === yesterday)],
    [words.before, found.filter(({ time }) => ![today, yesterday].includes(day(time)))],
  ];
  list.replaceChildren(...groups.filter(([, there]) => there.length).map(([title, there]) => make("section", {}, make("h3", {}, title), make("ul", {}, ...there.map(row)))));
  const wantedKey = focus ?? kept;
  if (wantedKey) [...root.querySelectorAll("[data-key]")].find((node) => node.dataset.key === wantedKey)?.focus();
  showVersions();
}

// A name for a file on any system.
const fileName = (name) => name.replace(/[\s\\/:*?"<>|\u0000-\u001f]+/g, " ").slice(0, 60).replace(/^[ .]+|[ .]+$/g, "") || "conversation";

function update() {
  const value = props.value ?? {};
  if (!value.nonce || value.nonce === nonce) return;
  nonce = value.nonce;
  if (value.save) then(() => keep(value.save));
  if (value.partial) then(() => keepPart(value.partial));
  if (value.left) leave(current);
  if (value.gone) then(() => bringBack(value));
  if (value.opened) then(async () => {
    setCurrent(value.opened);
    notice = value.said;
    await refresh();
    if (goesOn === null) return opening(false);
    trigger("go_on", { params: goesOn });
    goesOn = null;
    begun(performance.now() + GOING_ON_MS);
  });
  else if (value.said) then(async () => { setCurrent(null); notice = value.said; opening(false); await refresh(); });
  if (value.file) saveText(`${fileName(value.file.name ?? "")}.${TYPES[value.file.kind][0]}`, TYPES[value.file.kind][1], value.file.text);
}

store.heard(() => then(refresh));
watch("value", update);
then(refresh).then(async () => {
  let last = null;
  try { last = sessionStorage.getItem(CURRENT); } catch {}
  const item = last && items.find(({ id }) => id === last);
  if (!item) return opening(false);
  setCurrent(item.id);
  // The chat must be there first.
  const there = () => document.querySelector("#question textarea") ? open(item, goOn(item)) : setTimeout(there, 50);
  there();
});
update();
