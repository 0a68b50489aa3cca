// The pages that an answer cites, and the one that was opened, with its marks. A citation in the chat's own text is
// found where it is clicked: the text stays as the model wrote it.

const root = element.querySelector(".sources");
const CITED = /\[([^\[\]\n]{1,240}?),\s*(?:page|p\.|第)?\s*(\d{1,6})\s*(?:页|頁)?\]/gi;

const problem = make("p", { class: "problem", role: "alert" });
const list = make("ul", {});
const place = make("div", { class: "place" });
root.append(make("section", { "aria-label": words.heading }, make("h3", {}, words.heading), problem, list, place));

const same = (one, other) => one.page === other.page && one.file.split("/").pop() === other.file.split("/").pop();
const known = (wanted) => (props.value?.citations ?? []).find((each) => same(each, wanted));

function open(wanted) {
  const found = known(wanted);
  trigger("open", { file: found?.file ?? wanted.file, page: wanted.page, boxes: found?.boxes ?? [] });
  window.qwenDemo.frame.change("side", true);
}

// The citation that a click in the chat is on, if it is on one.
function clicked({ target, clientX, clientY }) {
  if (!target.closest?.("#chat .bot")) return null;
  const at = document.caretPositionFromPoint?.(clientX, clientY);
  const range = at ? null : document.caretRangeFromPoint?.(clientX, clientY);
  const node = at?.offsetNode ?? range?.startContainer, offset = at?.offset ?? range?.startOffset;
  if (node?.nodeType !== Node.TEXT_NODE) return null;
  const match = [...node.data.matchAll(CITED)].find((each) => each.index <= offset && offset <= each.index + each[0].length);
  return match ? { file: match[1].trim(), page: Number(match[2]) } : null;
}
document.addEventListener("click", (event) => {
  const citation = props.value?.citations?.length ? clicked(event) : null;
  if (citation) open(citation);
});

function sheet(page) {
  const marks = page.boxes.map(([x1, y1, x2, y2]) => make("span", { class: "mark", style:
    `left:${100 * x1}%;top:${100 * y1}%;width:${100 * (x2 - x1)}%;height:${100 * (y2 - y1)}%` }));
  const name = `${page.file}, ${fill(words.page, { page: page.number })}`;
  if (!page.view) return [make("h4", {}, name), make("pre", { tabindex: "0" }, page.text ?? "")];
  return [make("h4", {}, name), make("div", { class: "sheet" }, make("img", { src: fileUrl(page.view), alt: name }), ...marks)];
}

function show() {
  const value = props.value ?? {};
  tell(problem, value);
  list.replaceChildren(...(value.citations ?? []).map((each) => make("li", {}, make("button",
    { type: "button", class: "citation", onclick: () => open(each) }, `${each.file}, ${fill(words.page, { page: each.page })}`))));
  place.replaceChildren(...(value.page ? sheet(value.page) : []));
  root.hidden = !value.citations?.length && !value.page && !value.problem;
}
watch("value", show);
show();
