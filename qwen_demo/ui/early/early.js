// A box for the question until Gradio has drawn its own: what is typed moves over with the cursor, and Enter sends it once that can.
// In the body of the page, so it runs while that is read; nothing of the page is there yet.

if (!window.gradio_config?.components) return;  // a page that asks for a login
const read = () => {
  try {
    return JSON.parse(sessionStorage.getItem("qwen-demo.draft"))?.text ?? "";
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

const real = () => [...document.querySelectorAll("#question textarea")].find((field) => !field.disabled && field.checkVisibility());

function move() {
  const field = real();
  if (!field || composing) return requestAnimationFrame(move);
  const focused = document.activeElement === box, { value, selectionStart, selectionEnd } = box;
  if (value && !field.value) {
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  frame.remove();
  if (focused) {
    field.focus({ preventScroll: true });
    field.setSelectionRange(selectionStart, selectionEnd);
  }
}
move();
// Gradio sets the box once more when it has loaded, see `draft.js`.
addEventListener("qwen-demo-restored", () => setTimeout(() => sends && document.querySelector("#question .submit-button")?.click()), { once: true });
