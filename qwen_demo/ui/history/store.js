// What this browser keeps for the page, in IndexedDB: conversations, and the files that stand in them. In the head, for several views.
// Whatever lies there is checked for shape here and for content by the server.

// Of all conversations together; the oldest go first.
const MAX_KEPT = 200, MAX_BYTES = 256 * 1024 * 1024, MAX_LINES = 20;
const channel = "BroadcastChannel" in window ? new BroadcastChannel("qwen-demo.conversations") : null;
const ended = (request) => new Promise((done, failed) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => failed(request.error);
});
// Who shares a browser and has a login of their own sees their own ones.
const suffix = () => (window.gradio_config?.username ? `.of.${window.gradio_config.username}` : "");
const root = () => (window.gradio_config?.root ?? "").replace(/\/$/, "");
const fileUrl = (path) => `${root()}/gradio_api/file=${String(path).split("/").map(encodeURIComponent).join("/")}`;

let database = null;
function base() {
  database ??= new Promise((done, failed) => {
    const request = indexedDB.open(`qwen-demo${suffix()}`, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("conversations", { keyPath: "id" });
      request.result.createObjectStore("files", { keyPath: "path" });
    };
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
  // Browsers close it, as when a telephone slept or its storage was cleared; the next one opens it again.
  database.then((opened) => { opened.onclose = () => { database = null; }; }, () => { database = null; });
  return database;
}
const table = async (name, mode = "readonly") => (await base()).transaction(name, mode).objectStore(name);
const get = async (name, key) => ended((await table(name)).get(key));
// Done once it lies there: that there is no room is told at the end of a transaction, after its requests went well.
async function change(name, action) {
  const rows = await table(name, "readwrite");
  const whole = new Promise((done, failed) => {
    rows.transaction.oncomplete = () => done();
    rows.transaction.onabort = () => failed(rows.transaction.error);
  });
  action(rows);
  return whole;
}
const put = (name, value) => change(name, (rows) => rows.put(value));
const drop = (name, key) => change(name, (rows) => rows.delete(key));

const isMessage = (message) => message && ["user", "assistant"].includes(message.role) && Array.isArray(message.parts);
const isLine = (line) => Array.isArray(line) && line.every(isMessage);
const isKept = (item) => item && typeof item.id === "string" && typeof item.name === "string" && Number.isFinite(item.time)
  && Array.isArray(item.lines) && item.lines.length > 0 && item.lines.every(isLine) && Boolean(item.lines[item.at]);
const filesOf = (item) => [...new Set(item.lines.flat().flatMap((message) => message.parts.map((part) => part?.file).filter((file) => typeof file === "string")))];

// Newest first.
async function all() {
  const found = await ended((await table("conversations")).getAll());
  return found.filter(isKept).sort((a, b) => b.time - a.time);
}

// A file's bytes, asked from the server once.
async function keepFile(path) {
  if (await get("files", path)) return;
  const answer = await fetch(fileUrl(path));
  if (answer.ok) await put("files", { path, blob: await answer.blob() });
}

// Path on the server of a file that it no longer has; null where this browser has not kept it either.
async function bringBack(path) {
  const kept = await get("files", path);
  if (!kept) return null;
  const form = new FormData();
  form.append("files", new File([kept.blob], path.split("/").pop(), { type: kept.blob.type }));
  const answer = await fetch(`${root()}/gradio_api/upload`, { method: "POST", body: form });
  if (!answer.ok) return null;
  const [fresh] = await answer.json();
  await put("files", { path: fresh, blob: kept.blob });
  return fresh;
}

// Gives how many conversations had to go. Files that no conversation names go as well.
async function prune(spared = window.qwenDemo.draft?.pathsOfAll() ?? []) {
  const items = await all();
  const sizes = new Map((await ended((await table("files")).getAll())).map(({ path, blob }) => [path, blob?.size ?? 0]));
  const used = new Set(spared);
  let bytes = 0, kept = 0;
  for (const item of items) {
    const fresh = filesOf(item).filter((path) => !used.has(path));
    const size = JSON.stringify(item).length + fresh.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
    if (kept >= MAX_KEPT || (kept > 0 && bytes + size > MAX_BYTES)) {
      await drop("conversations", item.id);
      continue;
    }
    bytes += size;
    kept += 1;
    fresh.forEach((path) => used.add(path));
  }
  for (const path of sizes.keys()) if (!used.has(path)) await drop("files", path);
  return items.length - kept;
}

// ---- versions: a conversation is a list of lines, each from its beginning to an end. Where two part, there are versions.

const keyOf = (message) => JSON.stringify([message?.role, message?.parts]);
const begins = (line, longer) => line.length <= longer.length && line.every((key, place) => key === longer[place]);

// `item` with what should have been said at `place` of `line`, in each line that has this answer; an empty text takes it back.
function corrected(item, line, place, text) {
  const keys = line.slice(0, place + 1).map(keyOf);
  const change = ({ corrected, ...said }) => (text ? { ...said, corrected: text } : said);
  const lines = item.lines.map((other) => (begins(keys, other.map(keyOf)) ? other.map((said, at) => (at === place ? change(said) : said)) : other));
  return { ...item, lines };
}

// The server does not know what was corrected here.
const withCorrections = (item, messages) => messages.map((message, place) => {
  const same = item.lines.find((line) => line[place]?.corrected && begins(messages.slice(0, place + 1).map(keyOf), line.map(keyOf)));
  return same ? { ...message, corrected: same[place].corrected } : message;
});

// `item` after the chat shows `messages`: they go on in the line that is shown, or are a line of their own.
function grown(item, messages) {
  messages = withCorrections(item, messages);
  const shown = item.lines[item.at];
  const whole = shown.at(-1)?.whole === false ? shown.slice(0, -1) : shown;
  const lines = [...item.lines];
  let current = messages;
  if (begins(whole.map(keyOf), messages.map(keyOf))) lines[item.at] = current;
  else lines.push(current);
  const keys = new Map(lines.map((line) => [line, line.map(keyOf)]));
  // An answer that came out the same is no version, nor is a beginning of another line.
  const apart = lines.filter((line) => line === current || !lines.some((other) => other !== line && begins(keys.get(line), keys.get(other))));
  while (apart.length > MAX_LINES) apart.splice(apart.findIndex((line) => line !== current), 1);
  return { ...item, lines: apart, at: apart.indexOf(current) };
}

// Index of the line that ends with `messages`, apart from what was written of an answer; -1 where there is none.
const lineOf = (item, messages) => item.lines.findIndex((line) => {
  const keys = line.filter((message) => message.whole !== false).map(keyOf);
  return keys.length === messages.length && begins(messages.map(keyOf), keys);
});

// At each place of the shown line that has versions: which one is shown, and the lines of all of them.
function versions(item) {
  const keys = item.lines.map((line) => line.map(keyOf)), shown = keys[item.at];
  const found = [];
  for (let place = 0; place <= shown.length; place++) {
    const there = new Map();
    keys.forEach((line, index) => {
      if (!begins(shown.slice(0, place), line)) return;
      const key = line[place] ?? (index === item.at ? null : undefined);
      if (key !== undefined && (!there.has(key) || index === item.at)) there.set(key, index);
    });
    if (there.size > 1) found.push({ place, lines: [...there.values()], shown: [...there.keys()].indexOf(shown[place] ?? null) });
  }
  return found;
}

// What this tab showed is opened again; until then nothing is asked, see `conversations.js`.
try { document.documentElement.classList.toggle("opening", Boolean(sessionStorage.getItem("qwen-demo.current"))); } catch {}

window.qwenDemo = { ...window.qwenDemo, store: {
  all, keepFile, bringBack, prune, grown, corrected, lineOf, versions, filesOf, fileUrl,
  put: (item) => put("conversations", item), get: (id) => get("conversations", id), remove: (id) => drop("conversations", id),
  tell: () => channel?.postMessage("changed"), heard: (action) => channel?.addEventListener("message", action),
} };
