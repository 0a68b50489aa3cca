// Collections with their files, what a search has found, and the page that was opened, with its marks.

const root = element.querySelector(".collections");
const problem = make("p", { class: "problem", role: "alert" });
const kept = make("div", { class: "kept" }), hits = make("ol", { class: "hits" }), place = make("div", { class: "place" });
root.append(make("section", {}, problem, make("div", { class: "columns" }, kept, make("div", {}, hits, place))));

const state = (file) => (file.state === "reading" || file.state === "waiting"
  ? fill(words.reading, { done: file.done, pages: file.pages || "?" })
  : file.state === "failed" ? words.failed : fill(words.ready, { pages: file.pages }));

const row = (collection, file) => make("li", {},
  make("button", { type: "button", class: "quiet", onclick: () => trigger("open", { collection, file: file.name, page: 1 }) }, file.name),
  make("span", { class: "state" }, state(file)),
  make("button", { type: "button", class: "quiet", "aria-label": fill(words.remove, { name: file.name }),
    onclick: () => trigger("remove", { collection, file: file.name }) }, "×"),
  file.problem ? make("p", { class: "note" }, file.problem) : null);

const shelf = (each) => make("details", { open: true }, make("summary", {}, each.name),
  make("ul", {}, ...each.files.map((file) => row(each.name, file))),
  make("button", { type: "button", class: "quiet", onclick: () => confirm(fill(words.sure, { name: each.name })) && trigger("remove", { collection: each.name }) },
    fill(words.remove, { name: each.name })));

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
  const value = props.value ?? {}, shelves = value.collections ?? [];
  tell(problem, value);
  kept.replaceChildren(...(shelves.length ? shelves.map(shelf) : [make("p", {}, words.empty)]));
  const found = value.hits ?? null;
  hits.replaceChildren(...(found?.length ? found.map((each) => hit(value.collection, each)) : found ? [make("li", {}, words.nothing)] : []));
  place.replaceChildren(...(value.page ? sheet(value.page) : []));
}
watch("value", show);
show();
