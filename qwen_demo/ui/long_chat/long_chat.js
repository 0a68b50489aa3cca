// The earlier questions of a long conversation: the first message of the chat holds them as a string, see `long_chat.py`.
// Pressing it, or scrolling to the top, opens some of them; while something is answered it waits for the end.

const PREFIX = "earlier=", STEP = 8;
const head = () => document.querySelector("#chat .earlier");
const title = () => head()?.closest(".title");
const log = () => document.querySelector("#chat .bubble-wrap");
const isAnswering = () => Boolean(document.querySelector("#question .stop-button"));

// How many questions are held back, and whether files stand in them.
const held = () => ({ asked: Number(/asked-(\d+)/.exec(head()?.className)?.[1] ?? 0), files: Boolean(head()?.classList.contains("files")) });

const isQuestion = (messages, place) => messages[place].role === "user" && messages[place - 1]?.role !== "user";
const isFile = (part) => part.type === "file";
const root = () => (window.gradio_config?.root ?? "").replace(/\/$/, "");
// The server gives each file that is shown its address; these were not shown.
const withAddress = (part) => isFile(part)
  ? { ...part, file: { ...part.file, url: part.file.url ?? `${root()}/gradio_api/file=${part.file.path.split("/").map(encodeURIComponent).join("/")}` } } : part;

// The chat's messages with up to STEP more questions.
function opened(messages) {
  const [first, ...shown] = messages ?? [], id = String(first?.metadata?.id ?? "");
  if (!id.startsWith(PREFIX)) return messages;
  const earlier = JSON.parse(id.slice(PREFIX.length));
  const questions = [...earlier.keys()].filter((place) => isQuestion(earlier, place));
  const from = questions.length > STEP ? questions.at(-STEP) : 0;
  const more = earlier.slice(from).map((message) => ({ ...message, content: message.content.map(withAddress) }));
  const left = earlier.slice(0, from), files = left.some(({ content }) => content.some(isFile)) ? " files" : "";
  const name = `<span class="earlier asked-${questions.length - STEP}${files}"></span>`;
  const rest = { ...first, metadata: { ...first.metadata, title: name, id: PREFIX + JSON.stringify(left) } };
  return [...(from ? [rest] : []), ...more, ...shown];
}

// The same for the same conversation, however much of it is shown: how long it is, and its end.
function stamp(messages) {
  const all = messages ?? [], id = String(all[0]?.metadata?.id ?? "");
  const count = id.startsWith(PREFIX) ? all.length - 1 + JSON.parse(id.slice(PREFIX.length)).length : all.length;
  return `${count} ${JSON.stringify(all.slice(-4).map(({ role, content, metadata }) => [role, content, metadata]))}`;
}

// What was in view stays there, and scrolls on with its visitor: Gradio draws in several steps, and rows out of view have no
// true height. It ends once nothing has moved for a while.
const STILL = 15, LONGEST_MS = 3000;
const row = (number) => document.querySelectorAll("#chat .user-row")[number];
const topOf = (number) => row(number)?.getBoundingClientRect().top ?? 0;
function hold(asked, top, at, until, still = 0) {
  const box = log(), place = asked - held().asked, wantedTop = top - (box.scrollTop - at), moved = row(place) ? topOf(place) - wantedTop : 0;
  if (Math.abs(moved) > 0.5) box.scrollTop += moved;
  const next = [asked, wantedTop, box.scrollTop, until, Math.abs(moved) > 0.5 ? 0 : still + 1];
  if (row(place) && performance.now() < until && still < STILL) return requestAnimationFrame(() => hold(...next));
  box.style.overflowAnchor = "";
  opening = false;
  if (wanted) open();
}

let opening = false, wanted = false;
function open() {
  wanted = Boolean(head()) && (opening || isAnswering());
  if (wanted || !head()) return;
  opening = true;
  const box = log(), before = held().asked, top = topOf(0), at = box.scrollTop, focused = title().contains(document.activeElement);
  box.style.overflowAnchor = "none";  // the browser would do the same by another row
  dispatchEvent(new CustomEvent("qwen-demo-earlier"));
  new MutationObserver((_, watch) => {
    if (held().asked === before) return;
    watch.disconnect();
    if (focused && !head()) document.querySelector("#chat .user-row [tabindex], #chat .message-buttons button")?.focus({ preventScroll: true });
    hold(before, top, at, performance.now() + LONGEST_MS);
  }).observe(box, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
}

const press = (event) => {
  if (!event.target.closest?.("#chat .title:has(.earlier)")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  open();
};
document.addEventListener("click", press, true);
document.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") press(event); }, true);

// Only a visitor's own scrolling counts; Gradio and browsers scroll as well.
const GESTURE_MS = 1500, UP = ["PageUp", "Home", "ArrowUp"];
let up = -GESTURE_MS;
const isUp = ({ type, deltaY, key, target }) => type === "wheel" ? deltaY < 0 : type !== "keydown" || (UP.includes(key) && !target.matches?.("textarea, input"));
for (const gesture of ["wheel", "touchmove", "keydown"]) document.addEventListener(gesture, (event) => { if (isUp(event)) up = performance.now(); }, { capture: true, passive: true });
document.addEventListener("scroll", ({ target }) => {
  if (target.matches?.("#chat .bubble-wrap") && target.scrollTop < 8 && performance.now() - up < GESTURE_MS && !opening) open();
}, { capture: true, passive: true });

Object.assign(window.qwenDemo.repairs, {
  "#chat .earlier:empty": (node) => {
    const count = held().asked;
    node.textContent = count === 1 ? words.one_more : words.more.replace("{count}", count);
  },
  "#chat .title[aria-busy]:has(.earlier)": (node) => node.removeAttribute("aria-busy"),
  "#question .submit-button": () => { if (wanted) open(); },
});
window.qwenDemo = { ...window.qwenDemo, longChat: { held, opened, stamp } };
