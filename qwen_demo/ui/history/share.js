// The question as code, a bundle to share, and whether a bundle's answer came out the same.

const root = element.querySelector(".share");
const KINDS = ["curl", "openai", "gradio_client"];
let nonce = null;
let kind = "curl";
let codes = {};

const tabs = KINDS.map((name) => make("button", { type: "button", class: "quiet", "data-kind": name, "aria-pressed": "false", onclick: () => { kind = name; show(); } }, words[name]));
const code = make("pre", { tabindex: "0" });
const copy = make("button", { type: "button", class: "quiet copy", onclick: () => toClipboard() }, words.copy);
const state = make("p", { class: "state", role: "status" });
const written = make("div", { class: "written", hidden: true }, make("div", { class: "row", role: "group", "aria-label": words.kinds }, ...tabs, copy), code);
const verdict = make("div", { class: "verdict" });
root.append(make("details", { class: "panel" }, make("summary", {}, words.title),
  make("p", { class: "intro" }, words.intro),
  make("button", { type: "button", class: "quiet make", onclick: () => trigger("code", { address: location.origin + (window.gradio_config?.root ? new URL(window.gradio_config.root, location.href).pathname : "") }) }, words.make),
  written,
  make("p", { class: "intro" }, words.bundle_intro),
  make("button", { type: "button", class: "quiet pack", onclick: () => trigger("pack", {}) }, words.bundle)),
  state, verdict);

async function toClipboard() {
  try {
    await navigator.clipboard.writeText(codes[kind]);
    state.textContent = words.copied;
  } catch {
    getSelection().selectAllChildren(code);
    state.textContent = words.copy_failed;
  }
}

function show() {
  written.hidden = !codes[kind];
  code.textContent = codes[kind] ?? "";
  for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.kind === kind));
}

function judge(found) {
  const model = found.same_model ? fill(words.same_model, { model: found.models[1] }) : fill(words.other_model, { theirs: found.models[0], ours: found.models[1] });
  state.textContent = [found.same ? words.same : words.different, model, found.same_sizes ? "" : words.other_sizes].filter(Boolean).join(" ");
  if (found.same) return;
  verdict.append(make("h3", {}, words.difference), make("p", { class: "difference" }, ...diffNodes(found.difference)));
}

function update() {
  const value = props.value ?? {};
  if (!value.nonce || value.nonce === nonce) return;
  nonce = value.nonce;
  verdict.replaceChildren();
  state.textContent = value.running ? words.running : value.failed ? words.failed : "";
  if (value.code) codes = value.code;
  if (value.file) saveText("qwen-demo-bundle.json", "application/json", value.file);
  if (value.verdict) judge(value.verdict);
  show();
}

watch("value", update);
update();
