// A box for the question until Gradio has drawn its own: what is typed moves over with the cursor, and Enter sends it once that can.
// In the body of the page, so it runs while that is read; nothing of the page is there yet.

if (!window.gradio_config?.components) return;  // a page that asks for a login
const read = () => {
  try {
    const { username } = window.gradio_config;  // see `draft.js`
    return JSON.parse(sessionStorage.getItem(`qwen-demo.draft${username ? `.of.${username}` : ""}`))?.text ?? "";
  } catch {
    return "";
  }
};
const box = Object.assign(document.createElement("textarea"), { rows: 1, placeholder: words.placeholder, value: read(), autocomplete: "off" });
box.setAttribute("aria-label", words.label);
box.dir = "auto";
const frame = Object.assign(document.createElement("div"), { id: "early" });
frame.append(box);
document.body.append(frame);
if (matchMedia("(pointer: fine)").matches) box.focus({ preventScroll: true });

let sends = false, composing = false;
box.addEventListener("compositionstart", () => { composing = true; });
box.addEventListener("compositionend", () => { composing = false; });
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!box.value.trim()) return;
  sends = box.readOnly = true;
  frame.classList.add("sends");
});

const PATIENCE_MS = 2000, OPENING_MS = 20_000;
const real = () => [...document.querySelectorAll("#question textarea")].find((field) => !field.disabled && field.checkVisibility());

// Gradio's box takes the focus when it is drawn.
const keep = ({ target }) => { if (target.matches?.("#question textarea")) box.focus({ preventScroll: true }); };
document.addEventListener("focusin", keep);

// Once Gradio has put the words into its own box, see `draft.js`; the last keys may have come since.
function move(until) {
  const field = real();
  if (composing || !field || (field.value !== box.value && performance.now() < until)) return setTimeout(move, 20, until);
  const focused = document.activeElement === box, { value, selectionStart, selectionEnd } = box;
  if (field.value !== value) {
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  document.removeEventListener("focusin", keep);
  frame.remove();
  if (focused) {
    field.focus({ preventScroll: true });
    field.setSelectionRange(selectionStart, selectionEnd);
  }
  if (sends) setTimeout(send, 0, performance.now() + OPENING_MS);
}
// Not before the conversation of this tab is open again, see `conversations.js`: it is asked of that.
function send(until) {
  if (document.documentElement.classList.contains("opening") && performance.now() < until) return setTimeout(send, 50, until);
  document.querySelector("#question .submit-button")?.click();
}
addEventListener("qwen-demo-restored", () => move(performance.now() + PATIENCE_MS), { once: true });
