// A question's words in a field of ours, in the question's place.

const NAMES = new Set(["Edit", words.edit]);
let open = null;  // {box, row}
let button = null;

const held = () => window.qwenDemo.longChat.held().asked;
const groups = () => [...document.querySelectorAll("#chat .message-wrap > .message-row.user-row")];

document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.("#chat .message-buttons button");
  if (!pressed || !NAMES.has(pressed.getAttribute("aria-label") || pressed.title)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const bar = pressed.closest(".message-buttons");
  const row = bar.closest(".user-row") ?? bar.previousElementSibling;
  const turn = groups().indexOf(row);
  if (turn < 0) return;
  button = pressed;
  trigger("begin", { turn: turn + held() });
}, true);

function close(focus = true) {
  if (!open) return;
  open.box.remove();
  for (const child of open.row.children) child.style.removeProperty("display");
  open = null;
  if (focus) (button?.isConnected ? button : document.querySelector("#question textarea"))?.focus();
}

function begin({ turn, text }) {
  close(false);
  const row = groups()[turn - held()];
  if (!row) return;
  const field = make("textarea", { "aria-label": words.field, rows: "2", dir: "auto" });
  field.value = text;
  const send = () => {
    const changed = field.value.trim();
    // One answer at a time: the words stay in their field.
    if (!changed || document.querySelector("#question .stop-button")) return field.focus();
    close(false);
    trigger("edit", { turn, text: changed });
    document.querySelector("#question textarea")?.focus();
  };
  const box = make("div", { class: "edit-question" }, field, make("div", {},
    make("button", { type: "button", onclick: () => close() }, words.cancel),
    make("button", { type: "button", class: "strong", onclick: send }, words.send)));
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) (event.preventDefault(), send());
  });
  // Pictures stay in view, the old words do not: the field is in their place.
  row.append(box);
  for (const child of row.children) if (child !== box && !child.querySelector("img, video")) child.style.display = "none";
  open = { box, row };
  field.focus();
  field.setSelectionRange(text.length, text.length);
}

watch("value", () => props.value?.nonce && begin(props.value));
