// Opens and closes the parts of the page's frame. In the head: the frame is there before any view of the page.
// The state is classes of the document: `rail-closed` (wide), `rail-open` (narrow), `side-closed`, `side-open` (phone), `settings-open`;
// `crowded` while settings and side panel stand beside the conversation and would leave too little of it: the rail goes.

const frame = document.documentElement.classList;
const narrow = matchMedia("(max-width: 1023px)"), phone = matchMedia("(max-width: 767px)");
const tight = matchMedia("(min-width: 1200px) and (max-width: 1439px)");
const KEY = "qwen-demo.frame";
let opener = null;

const remembered = () => {
  try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; }
};
const remember = (change) => {
  try { localStorage.setItem(KEY, JSON.stringify({ ...remembered(), ...change })); } catch {}
};

const isOpen = {
  rail: () => (narrow.matches ? frame.contains("rail-open") : !frame.contains("rail-closed") && !frame.contains("crowded")),
  side: () => (phone.matches ? frame.contains("side-open") : !frame.contains("side-closed")),
  settings: () => frame.contains("settings-open"),
  theme: () => document.body.classList.contains("dark"),
};
const open = {
  rail(wanted) {
    if (narrow.matches) return frame.toggle("rail-open", wanted);
    if (wanted && frame.contains("crowded")) open.settings(false);
    frame.toggle("rail-closed", !wanted);
    remember({ rail: wanted });
  },
  side(wanted) {
    if (phone.matches) frame.toggle("side-open", wanted);
    else frame.toggle("side-closed", !wanted);
  },
  settings: (wanted) => frame.toggle("settings-open", wanted),
  theme(wanted) {
    document.body.classList.toggle("dark", wanted);
    remember({ dark: wanted });
  },
};

// What lies over the conversation takes the focus when it opens, and gives it back.
const covers = (part) => part === "settings" || (part === "rail" && narrow.matches) || (part === "side" && phone.matches);

function change(part, wanted, by = null) {
  open[part](wanted);
  tell();
  if (!covers(part)) return;
  if (wanted) {
    for (const other of ["rail", "side", "settings"]) if (other !== part && covers(other)) open[other](false);
    opener = by;
    tell();
    requestAnimationFrame(() => document.querySelector(`#${part} :is(button, input):not([tabindex="-1"])`)?.focus());
  } else {
    (opener?.checkVisibility() ? opener : document.querySelector("#question textarea"))?.focus();
    opener = null;
  }
}

const isCrowded = () => tight.matches && isOpen.settings() && isOpen.side() && frame.contains("seeing") && document.querySelector("#chat-row")?.checkVisibility();

function tell() {
  frame.toggle("crowded", Boolean(isCrowded()));
  for (const button of document.querySelectorAll("button[data-frame]")) {
    const part = button.dataset.frame;
    if (part.endsWith("-close")) continue;
    button.setAttribute(part === "theme" ? "aria-pressed" : "aria-expanded", String(isOpen[part]()));
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-frame]");
  if (button) {
    const part = button.dataset.frame.replace(/-close$/, "");
    return change(part, button.dataset.frame === part && !isOpen[part](), button);
  }
  // Beside a drawer, or on a tab in it: it closes.
  if (narrow.matches && isOpen.rail() && (!target.closest("#rail, #tabs > .tab-wrapper") || target.closest("[role=tab]"))) change("rail", false);
  requestAnimationFrame(tell);  // of the tabs that it shows
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  const part = ["settings", "rail", "side"].find((name) => covers(name) && isOpen[name]());
  if (part) change(part, false);
});

// The rail ends where the tabs beneath it begin; another image, clip or cited page opens the side panel again.
let shown = 0;
const sizes = new ResizeObserver(([{ target }]) => document.documentElement.style.setProperty("--tabs-height", `${target.offsetHeight}px`));
new MutationObserver(() => {
  const tabs = document.querySelector("#tabs > .tab-wrapper");
  if (tabs && !tabs.dataset.measured) {
    tabs.dataset.measured = "";
    sizes.observe(tabs);
  }
  const chips = document.querySelectorAll("#context .chip, #sources .citation, #sources h4, #sources .problem:not([hidden])").length;
  if (chips > shown) frame.remove("side-closed");
  frame.toggle("seeing", chips > 0);
  shown = chips;
  tell();
}).observe(document, { childList: true, subtree: true });
for (const width of [narrow, phone, tight]) width.addEventListener("change", tell);

const { rail, dark } = remembered();
if (rail === false) frame.add("rail-closed");
// Gradio follows the system until somebody chooses.
if (dark !== undefined) addEventListener("load", () => setTimeout(() => { open.theme(dark); tell(); }));
window.qwenDemo = { ...window.qwenDemo, frame: { change, isOpen } };
