// Collections with their files, what a search has found, and the page that was opened, with its marks.

const root = element.querySelector(".collections");
const problem = make("p", { class: "problem", role: "alert" });
const kept = make("div", { class: "kept" }), hits = make("ol", { class: "hits" }), place = make("div", { class: "place" });
root.append(make("section", {}, problem, make("div", { class: "columns" }, kept, make("div", {}, hits, place))));

const state = (file) => {
  const told = { done: file.done, pages: file.pages || "?" };
  return file.state === "reading" || file.state === "waiting" ? counted("reading", file.pages, told)
    : file.state === "stopped" ? counted("stopped", file.pages, told)
    : file.state === "failed" ? words.failed
    : counted("ready", file.pages, told);
};

// A button that keeps the focus when the list is drawn anew: `key` says which it is.
const action = (key, text, data, more = {}) => make("button", { type: "button", class: "quiet", "data-key": JSON.stringify([key, data]), ...more }, text);

const row = (collection, file) => make("li", {},
  action("open", file.name, [collection, file.name], { onclick: () => trigger("open", { collection, file: file.name, page: 1 }) }),
  make("span", { class: "state" }, state(file)),
  action("remove", "×", [collection, file.name], { "aria-label": fill(words.remove, { name: file.name }),
    onclick: () => trigger("remove", { collection, file: file.name }) }),
  file.problem ? make("p", { class: "note" }, file.problem) : null);

// While some of its pages are unread: how far it is, and a button to leave off or to go on.
function reading(each) {
  if (each.state === "ready") return null;
  const told = counted(each.state === "stopped" ? "stopped" : "reading", each.pages, { done: each.done, pages: each.pages || "?" });
  const [event, text] = each.state === "stopped" ? ["go_on", words.go_on] : ["stop", words.stop];
  return make("div", { class: "progress" },
    make("progress", { "aria-label": each.name, max: each.pages || 1, value: each.done }), make("span", { class: "state" }, told),
    action(event, fill(text, { name: each.name }), [each.name], { onclick: () => trigger(event, { collection: each.name }) }));
}

const closed = new Set();
function shelf(each) {
  const made = make("details", {}, make("summary", { "data-key": JSON.stringify(["summary", each.name]) }, each.name), reading(each),
    make("ul", {}, ...each.files.map((file) => row(each.name, file))),
    action("remove all", fill(words.remove, { name: each.name }), [each.name],
      { onclick: () => confirm(fill(words.sure, { name: each.name })) && trigger("remove", { collection: each.name }) }));
  made.open = !closed.has(each.name);
  made.addEventListener("toggle", () => closed[made.open ? "delete" : "add"](each.name));
  return made;
}

// Drawn anew where something has changed, as every two seconds while files are read: what had the focus has it after.
const drawn = new Map();
function anew(node, value, elements) {
  const now = JSON.stringify(value ?? null);
  if (drawn.get(node) === now) return false;
  drawn.set(node, now);
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  node.replaceChildren(...elements());
  if (key) [...node.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key)?.focus();
  return true;
}

const hit = (collection, each) => make("li", {}, make("button", { type: "button", class: "hit",
  onclick: () => trigger("open", { collection, file: each.file, page: each.page, boxes: each.boxes }) },
  make("strong", {}, `${each.file}, ${fill(words.page, { page: each.page })}`), make("span", {}, each.text)));

function sheet(page) {
  const name = `${page.file}, ${fill(words.page, { page: page.number })}`;
  const marks = page.boxes.map(([x1, y1, x2, y2]) => make("span", { class: "mark", style:
    `left:${100 * x1}%;top:${100 * y1}%;width:${100 * (x2 - x1)}%;height:${100 * (y2 - y1)}%` }));
  if (!page.view) return [make("h4", {}, name), make("pre", { tabindex: "0" }, page.text ?? "")];
  return [make("h4", {}, name), make("div", { class: "sheet" }, make("img", { src: fileUrl(page.view), alt: name }), ...marks)];
}

function show() {
  const value = props.value ?? {}, shelves = value.collections ?? [], found = value.hits;
  tell(problem, value);
  anew(kept, shelves, () => (shelves.length ? shelves.map(shelf) : [make("p", {}, words.empty)]));
  anew(hits, found, () => (found?.length ? found.map((each) => hit(value.collection, each)) : found ? [make("li", {}, words.nothing)] : []));
  if (anew(place, value.page, () => (value.page ? sheet(value.page) : [])) && value.page) {
    // On a phone it is far below what was pressed.
    place.scrollIntoView({ block: matchMedia("(max-width: 760px)").matches ? "start" : "nearest" });
  }
}
watch("value", show);
show();
