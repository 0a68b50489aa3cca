// Asks the server now and then whether it is there. While it is not, this stands in place of the model's state.
// A server that was started again is said, and a button loads its page; what it has lost of this one is sent again, see
// `qwen-demo-back`. But where an event of Gradio's was cut off, Gradio takes no more of them: then the page is loaded again once the
// server is there. The draft is kept, the conversation opens again, and an answer that was cut goes on.

const root = element.querySelector(".connection");
const EVERY_MS = 5000, SOON_MS = 1000, PATIENCE_MS = 10_000, LEAVING_MS = 3000;
const NO_SERVER = [502, 504];  // what proxies say

const text = make("span", {});
const reload = make("button", { type: "button", hidden: true, onclick: () => location.reload() }, words.reload);
root.setAttribute("role", "status");
root.hidden = true;
root.append(make("span", { class: "dot", "aria-hidden": "true" }), text, reload);

const ask = window.fetch.bind(window);
const address = (path) => `${(window.gradio_config?.root ?? "").replace(/\/$/, "")}${path}`;
let misses = 0, first = null, last = null, timer = null, cut = false;

// Gradio's client asks for this once it has lost the server, and loads the page again as soon as it gets an answer.
window.fetch = (resource, options) =>
  /\/app_id$/.test(new URL(resource?.url ?? resource, location.href).pathname)
    ? Promise.reject(new TypeError("the page looks for the server itself")) : ask(resource, options);

async function look() {
  clearTimeout(timer);
  let found = null;
  try {
    const answer = await ask(address("/gradio_api/app_id"), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!NO_SERVER.includes(answer.status)) found = answer.ok ? (await answer.json()).app_id : last;
  } catch {}
  if (found === null) miss();
  else there(found);
  timer = setTimeout(look, misses ? SOON_MS : EVERY_MS);
}

function miss() {
  misses += 1;
  if (misses < 2) return;
  document.querySelector("#badge")?.style.setProperty("display", "none");
  root.classList.remove("back");
  text.textContent = words.lost;
  root.hidden = false;
  reload.hidden = true;
}

function there(found) {
  if (cut) return location.reload();
  const lost = misses > 1, restarted = last !== null && found !== last;
  misses = 0;
  first ??= found;
  last = found;
  if (lost) {
    document.querySelector("#badge")?.style.removeProperty("display");
    root.hidden = true;
    trigger("back", {});
  }
  if (restarted && window.qwenDemo.draft.paths().length) trigger("restarted", {});
  if (restarted) dispatchEvent(new Event("qwen-demo-back"));
  if (found === first) return;
  root.classList.add("back");
  text.textContent = words.restarted;
  root.hidden = reload.hidden = false;
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
for (const change of ["online", "offline"]) window.addEventListener(change, look);
// A page that is left is cut off as well; it may stay after all, as where a link was a download.
let left = -LEAVING_MS;
window.addEventListener("beforeunload", () => { left = performance.now(); });
window.addEventListener("qwen-demo-cut", () => setTimeout(() => { cut = true; look(); }, Math.max(0, left + LEAVING_MS - performance.now())));
look();
