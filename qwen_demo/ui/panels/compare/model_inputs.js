// The images of one side of a comparison, as its model will see them. Also names the group of controls around it.

const root = element.querySelector(".model_inputs");
const column = element.closest(".compare-side");
column.setAttribute("role", "group");
column.setAttribute("aria-label", column.id.split("-").pop());

function image(item) {
  const facts = make("span");
  if (item.problem) tell(facts, item);
  else facts.textContent = [
    fill(words.size, { width: item.size[0], height: item.size[1], seen_width: item.seen[0], seen_height: item.seen[1] }),
    item.frames ? counted("frames", item.frames, item) : "",
    item.tokens ? counted("tokens", item.tokens, { tokens: number(item.tokens) }) : "",
    item.tokens && props.value.context ? fill(words.share, { share: percent(item.tokens / props.value.context) }) : "",
  ].filter(Boolean).join(" · ");
  return make("p", {}, make("span", { class: "file" }, item.name), " ", facts);
}

function update() {
  const items = props.value?.items ?? [];
  root.hidden = !items.length;
  root.replaceChildren(...items.map(image));
}

watch("value", update);
update();
