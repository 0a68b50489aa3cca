// The question that is being written, with its files: kept for this tab until it is sent.
// Its words are looked at now and then, as an event of Gradio's at each key would cost more than the key itself.

const KEY = "qwen-demo.draft", EVERY_MS = 500;
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

function keep(draft) {
  kept = draft;
  try {
    if (draft.text || draft.files.length) sessionStorage.setItem(KEY, JSON.stringify(draft));
    else sessionStorage.removeItem(KEY);
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
function keepFiles(files) {
  const found = (files ?? []).filter(isFile);
  if (restored) {
    keep({ text: typed(), files: found });
    for (const { path } of found) store.keepFile(path).catch(() => {});
  }
  return JSON.stringify(found.map(({ path }) => path));
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
const allAlive = async (files) => (await Promise.all(files.map(alive))).filter(Boolean);

// Words may be typed before Gradio is there, into a box that began with those of the draft, see `early.js`.
async function restore() {
  const draft = read();
  const files = await allAlive(draft?.files ?? []);
  const text = document.querySelector("#early textarea")?.value ?? (typed() || draft?.text || "");
  keep({ text, files });
  restored = true;
  dispatchEvent(new Event("qwen-demo-restored"));
  return { text, files };
}

// The question with files that a server that was started again can open.
async function revive(question) {
  const files = await allAlive((question?.files ?? []).filter(isFile));
  return { text: typed(), files };
}

window.qwenDemo = { ...window.qwenDemo, draft: { keepFiles, restore, revive, paths: () => (read()?.files ?? []).map(({ path }) => path) } };
