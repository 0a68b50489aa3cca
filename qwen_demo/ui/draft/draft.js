// The question that is being written, with its files: kept for this tab until it is sent.
// Its words are looked at now and then, as an event of Gradio's at each key would cost more than the key itself.

// Who has a login of their own sees their own draft.
const KEY = `qwen-demo.draft${window.gradio_config?.username ? `.of.${window.gradio_config.username}` : ""}`, EVERY_MS = 500;
const { store } = window.qwenDemo;
const isFile = (file) => file && typeof file.path === "string";
let kept = null, restored = false;

function read() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY));
    return typeof found?.text === "string" && Array.isArray(found.files) ? { text: found.text, files: found.files.filter(isFile) } : null;
  } catch {
    return null;
  }
}

// Files of the drafts of all tabs, which none of them may prune. A tab that was closed is forgotten after a day, as its files on the
// server are.
const ALL = "qwen-demo.drafts", TAB = "qwen-demo.tab", DAY_MS = 86_400_000;
function others(tab) {
  const found = JSON.parse(localStorage.getItem(ALL)) ?? {};
  return Object.entries(found).filter(([name, draft]) => name !== tab && Array.isArray(draft?.paths) && Date.now() - draft.time < DAY_MS);
}
function tell(paths) {
  let tab = sessionStorage.getItem(TAB);
  if (!tab) sessionStorage.setItem(TAB, (tab = crypto.randomUUID?.() ?? String(Math.random())));
  const drafts = others(tab);
  if (paths.length) drafts.push([tab, { paths, time: Date.now() }]);
  localStorage.setItem(ALL, JSON.stringify(Object.fromEntries(drafts)));
}
const paths = () => (read()?.files ?? []).map(({ path }) => path);
function pathsOfAll() {
  try {
    return [...paths(), ...others(null).flatMap(([, draft]) => draft.paths)];
  } catch {
    return paths();
  }
}

function keep(draft) {
  kept = draft;
  try {
    if (draft.text || draft.files.length) sessionStorage.setItem(KEY, JSON.stringify(draft));
    else sessionStorage.removeItem(KEY);
    tell(draft.files.map(({ path }) => path));
  } catch {}
}

const field = () => document.querySelector("#question textarea");
const typed = () => field()?.value ?? "";
function keepWords() {
  if (restored && field() && typed() !== (kept?.text ?? "")) keep({ text: typed(), files: kept?.files ?? [] });
}
setInterval(keepWords, EVERY_MS);
addEventListener("pagehide", keepWords);

// Paths of the question's files, as JSON.
function keepFiles(files, text = typed()) {
  const there = (files ?? []).filter(isFile);
  if (restored) {
    keep({ text, files: there });
    for (const { path } of there) store.keepFile(path).catch(() => {});
  }
  return JSON.stringify(there.map(({ path }) => path));
}

// A file that the server has deleted since is uploaded again, as far as this browser has it.
async function alive(file) {
  try {
    if ((await fetch(store.fileUrl(file.path))).ok) return file;
    const path = await store.bringBack(file.path);
    return path && { ...file, path, url: store.fileUrl(path) };
  } catch {
    return null;
  }
}
// What was looked for, by its path; asking the server takes a while, and what the visitor adds meanwhile must stay. So
// that is a step of its own, and the next one takes the question as it is then.
const found = new Map();
const lookFor = async (files) => {
  await Promise.all((files ?? []).filter(isFile).map(async (file) => found.set(file.path, await alive(file))));
};
const lookForDraft = () => lookFor(read()?.files);
const asFound = (files) => (files ?? []).filter(isFile).map((file) => (found.has(file.path) ? found.get(file.path) : file)).filter(Boolean);

// Words may be typed before Gradio is there, into a box that began with those of the draft, see `early.js`.
function restore(question) {
  const draft = read(), files = [...asFound(draft?.files), ...(question?.files ?? []).filter(isFile)];
  const text = document.querySelector("#early textarea")?.value ?? (typed() || draft?.text || "");
  restored = true;
  keepFiles(files, text);
  dispatchEvent(new Event("qwen-demo-restored"));
  return { text, files };
}

// The question with files that a server that was started again can open.
const revive = (question) => ({ text: typed(), files: asFound(question?.files) });

// What the server adds to the question comes later than it was asked for; what was typed and attached meanwhile stays.
let added = null;
function add(more, question) {
  if (!more?.nonce || more.nonce === added) return { text: typed(), files: question?.files ?? [] };
  added = more.nonce;
  const fresh = more.files.map(({ file, type }) =>
    ({ path: file, url: store.fileUrl(file), orig_name: file.split("/").at(-1), mime_type: type, meta: { _type: "gradio.FileData" } }));
  const text = typed().trim() ? typed() : more.otherwise;
  return { text: [text, more.words].filter(Boolean).join(" "), files: [...(question?.files ?? []), ...fresh] };
}

// The same when a question was taken: what was typed or attached since it was sent is the beginning of the next one.
let sent = { text: "", paths: [] };
const pathsOf = (question) => (question?.files ?? []).map(({ path }) => path);
function send(question) {
  sent = { text: question?.text ?? "", paths: pathsOf(question) };
  return question;
}
function rest(question) {
  const text = typed(), files = (question?.files ?? []).filter(({ path }) => !sent.paths.includes(path));
  return { text: text.startsWith(sent.text) ? text.slice(sent.text.length).trimStart() : text, files };
}

window.qwenDemo = { ...window.qwenDemo, draft: { add, send, rest, keepFiles, lookFor, lookForDraft, restore, revive, paths, pathsOfAll } };
