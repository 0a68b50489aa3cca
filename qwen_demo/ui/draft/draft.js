// The question that is being written, with its files: kept for this tab until it is sent.

const KEY = "qwen-demo.draft";
const { store } = window.qwenDemo;
const isFile = (file) => file && typeof file.path === "string";

function read() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY));
    return typeof found?.text === "string" && Array.isArray(found.files) ? { text: found.text, files: found.files.filter(isFile) } : null;
  } catch {
    return null;
  }
}

function keep(value) {
  const draft = { text: value?.text ?? "", files: (value?.files ?? []).filter(isFile) };
  try {
    if (draft.text || draft.files.length) sessionStorage.setItem(KEY, JSON.stringify(draft));
    else sessionStorage.removeItem(KEY);
  } catch {}
  for (const { path } of draft.files) store.keepFile(path).catch(() => {});
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

const typed = () => document.querySelector("#question textarea")?.value ?? "";
const allAlive = async (files) => (await Promise.all(files.map(alive))).filter(Boolean);

async function restore() {
  const draft = read();
  if (!draft || typed()) return { text: typed(), files: [] };
  return { text: draft.text, files: await allAlive(draft.files) };
}

// The question with files that a server that was started again can open. What is typed meanwhile stays.
async function revive(question) {
  const files = await allAlive((question?.files ?? []).filter(isFile));
  return { text: typed(), files };
}

window.qwenDemo = { ...window.qwenDemo, draft: { keep, restore, revive, paths: () => (read()?.files ?? []).map(({ path }) => path) } };
