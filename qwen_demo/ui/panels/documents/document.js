// A page with the regions of its elements, a list of the elements, and the document as the model read it.
// The frame is sandboxed without scripts: it is scrolled from here by the fragment of its address, and reports nothing.

const root = element.querySelector(".document");
const THEME = "theme-of-the-page";
const FILES = { markdown: ["page.md", "text/markdown"], html: ["page.html", "text/html"], json: ["page.json", "application/json"] };
let chosen = null;
let opened = null;
// What was read off each page of this document, by the page's number; the server keeps nothing.
const readings = new Map();
let framed = null;
// The page that the visitor turned to last, which may still be on its way.
let wanted = null;

const empty = make("p", {}, words.empty);
const problem = make("p", { class: "problem", role: "alert" });
const image = make("img", { alt: "" });
const regions = make("div", { class: "regions" });
const sheet = make("div", { class: "sheet" }, image, regions);
const counter = make("span", { "aria-live": "polite" });
const previous = make("button", { type: "button", class: "quiet", onclick: () => turn(-1) }, words.previous);
const next = make("button", { type: "button", class: "quiet", onclick: () => turn(1) }, words.next);
const field = make("input", { type: "number", min: "1", step: "1", inputmode: "numeric", "aria-label": words.go_to, onchange: () => turnTo(Number(field.value)) });
const readAll = make("button", { type: "button", class: "quiet", onclick: () => askForAll() }, words.read_all);
const pager = make("div", { class: "row pager" }, previous, counter, next, make("label", {}, make("span", {}, words.go_to), field), readAll);
const bar = make("progress", {});
const told = make("span", {});
const progress = make("p", { class: "progress", role: "status" }, bar, told);
const left = make("div", { class: "left" }, sheet, pager, progress);
const note = make("p", { class: "note" });
const waiting = make("p", {}, words.waiting);
const growing = make("div", { class: "answer-text growing" });
// No token in `sandbox`: nothing in the frame can run, send, open or navigate.
const frame = make("iframe", { sandbox: "", title: words.frame, referrerpolicy: "no-referrer" });
const list = make("ol", { class: "elements" });
const hint = make("p", {});
const saves = make("div", { class: "row" });
const allSaves = make("div", { class: "row" });
const source = make("details", {}, make("summary", {}, words.source), make("pre", {}));
const right = make("div", { class: "right" }, make("h4", {}, words.reading), problem, note, waiting, growing, frame,
  make("h4", { class: "heading" }, words.elements), hint, list, saves, allSaves, source);
const columns = make("div", { class: "columns" }, left, right);
root.append(make("section", {}, empty, columns));

const at = () => wanted ?? props.value?.page?.number;
const turn = (step) => turnTo(at() + step);

// Each turn goes off at once, however quickly they come; what comes back may do so in another order.
function turnTo(number) {
  const page = props.value?.page;
  if (!page || !number) return;
  const inside = Math.min(Math.max(Math.round(number), 1), page.pages);
  field.value = inside;
  if (inside === at()) return;
  wanted = inside;
  sendTurn();
}

function sendTurn() {
  props.value = { ...props.value, turning: wanted };
  trigger("turn", { page: wanted });
}

// What is read is what is shown. A page that was turned to before the last one, and came after it, is not.
function follow() {
  const value = props.value ?? {};
  if (!value.page || (value.opened && value.opened !== opened)) wanted = null;
  else if (value.running) wanted = value.page.number;
  else if (wanted !== null && (value.turned ?? wanted) !== wanted && value.turning !== wanted) sendTurn();
}

// Those that were not read yet; where all were, all of them again.
function askForAll() {
  const { pages } = props.value.page;
  const all = Array.from({ length: pages }, (_, index) => index + 1);
  const unread = all.filter((number) => !readings.get(number)?.frame);
  trigger("read_all", { pages: unread.length ? unread : all });
}

// A page that was read before comes back with its reading.
function remember() {
  const value = props.value ?? {};
  if (!value.page || (value.opened && value.opened !== opened)) {
    readings.clear();
    opened = value.opened ?? null;
  }
  if (!value.page) return;
  const { text, frame, elements, files, cut, note, page } = value;
  if (text) readings.set(page.number, { text, frame, elements, files, cut, note });
  else if (!value.running && !value.problem && readings.has(page.number)) props.value = { ...value, ...readings.get(page.number) };
}

function choose(number, from) {
  chosen = number;
  for (const node of root.querySelectorAll("[data-number]")) {
    const on = Number(node.dataset.number) === number;
    node.setAttribute("aria-pressed", String(on));
    if (on && node.parentElement !== from) node.scrollIntoView({ block: "nearest" });
  }
  frame.contentWindow?.location.replace(`about:srcdoc#e${number}`);
}

const light = (number, on) => {
  for (const node of root.querySelectorAll(`[data-number="${number}"]`)) node.classList.toggle("lit", on);
};
const linked = (number, attributes, ...children) => make("button", {
  type: "button", "data-number": number, "aria-pressed": String(number === chosen),
  onclick: (event) => choose(number, event.currentTarget.parentElement),
  onpointerenter: () => light(number, true), onpointerleave: () => light(number, false),
  onfocus: () => light(number, true), onblur: () => light(number, false), ...attributes,
}, ...children);

const kindOf = (item) => words.kinds[item.kind] ?? item.kind;

function region(item, page) {
  const [x1, y1, x2, y2] = item.region;
  const button = linked(item.number, { class: "region", "aria-label": fill(words.region, { ...item, kind: kindOf(item) }) }, make("span", {}, item.number));
  const share = (value, whole) => `${(100 * value) / whole}%`;
  Object.assign(button.style, {
    left: share(x1, page.width), top: share(y1, page.height), width: share(x2 - x1, page.width), height: share(y2 - y1, page.height),
  });
  return button;
}

const row = (item) => make("li", {}, linked(item.number, { class: "element" },
  make("span", { class: "number" }, item.number), make("span", { class: "kind" }, kindOf(item)), make("span", { class: "text" }, item.text)));

function showPage(page) {
  left.hidden = !page;
  if (!page) return;
  const url = fileUrl(page.view);
  if (image.getAttribute("src") !== url) image.src = url;
  image.alt = fill(words.image, page);
  sheet.style.setProperty("--ratio", page.width / page.height);
  counter.textContent = fill(words.page, page);
  pager.hidden = page.pages < 2;
  if (document.activeElement !== field) field.value = at();
  field.max = page.pages;
  field.disabled = readAll.disabled = Boolean(props.value.running);
  const { all, running } = props.value;
  progress.hidden = !(all && running);
  if (all) {
    Object.assign(bar, { max: all.of, value: all.done });
    told.textContent = counted("progress", all.of, all);
  }
  previous.disabled = at() <= 1 || Boolean(props.value.running);
  next.disabled = at() >= page.pages || Boolean(props.value.running);
}

function showDocument(value) {
  const elements = value.elements ?? [];
  const there = Boolean(value.frame);
  growing.hidden = there || !value.text;
  growing.textContent = there ? "" : value.text ?? "";
  for (const node of [frame, list, saves, source, right.querySelector(".heading")]) node.hidden = !there;
  if (!there) framed = chosen = null;
  else if (framed !== value.frame) {
    framed = value.frame;
    chosen = null;
    const dark = Boolean(document.querySelector(".dark"));
    frame.srcdoc = value.frame.replace(THEME, dark ? "dark" : "light");
  }
  // Small ones last, so that they lie on top and can be pointed at.
  const area = ({ region: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
  const placed = elements.filter((item) => item.region).sort((a, b) => area(b) - area(a));
  regions.replaceChildren(...(value.page ? placed.map((item) => region(item, value.page)) : []));
  list.replaceChildren(...elements.map(row));
  hint.hidden = !there || (placed.length > 0 && !value.cut);
  hint.textContent = [placed.length ? "" : words.no_regions, value.cut ? words.cut : ""].filter(Boolean).join(" ");
  saves.replaceChildren(make("span", {}, words.export), ...Object.entries(value.files ?? {}).map(([kind, text]) =>
    make("button", { type: "button", class: "quiet", onclick: () => saveText(...FILES[kind], text) }, words[kind])));
  const whole = [...readings].filter(([, reading]) => reading.frame).sort(([a], [b]) => a - b).map(([, reading]) => reading.files);
  allSaves.hidden = whole.length < 2;
  allSaves.replaceChildren(make("span", {}, fill(words.export_all, { count: whole.length })),
    make("button", { type: "button", class: "quiet", onclick: () => saveText("pages.md", "text/markdown", whole.map((one) => one.markdown).join("\n\n---\n\n")) }, words.markdown),
    make("button", { type: "button", class: "quiet", onclick: () => saveText("pages.json", "application/json", `[${whole.map((one) => one.json).join(",\n")}]`) }, words.json));
  source.querySelector("pre").textContent = value.text ?? "";
}

function update() {
  follow();
  remember();
  const value = props.value ?? {};
  empty.hidden = Boolean(value.page || value.problem || value.running);
  columns.hidden = !empty.hidden;
  tell(problem, value);
  note.hidden = !value.note;
  note.textContent = value.note ?? "";
  waiting.hidden = Boolean(value.text || value.problem || value.running);
  showPage(value.page);
  showDocument(value);
}

watch("value", update);
update();
