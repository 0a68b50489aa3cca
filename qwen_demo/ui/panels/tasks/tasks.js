// Presets as cards. One click fills in an image, a question and the controls.

const root = element.querySelector(".tasks");
const list = make("ul", { class: "cards" });
root.append(make("section", { "aria-label": words.title }, make("h3", {}, words.title), make("p", {}, words.intro), list));

const thumbnail = (card) => card.tab === "video"
  ? make("video", { src: fileUrl(card.file), preload: "metadata", tabindex: "-1", "aria-hidden": "true" })
  : make("img", { src: fileUrl(card.file), alt: "", loading: "lazy" });

function tile(card) {
  const where = card.schema ? words.schema : words[card.tab];
  const tags = [
    where && make("span", { class: "tag" }, where),
    card.unable && make("span", { class: "tag unable", title: words.why }, words.unable),
  ];
  return make("li", {}, make("button", { type: "button", class: "card", "data-key": card.key, onclick: () => trigger("pick", { key: card.key }) },
    make("span", { class: "thumbnail" }, thumbnail(card)),
    make("span", { class: "about" }, make("span", { class: "title" }, words.titles[card.key]), make("span", { class: "prompt", lang: /[\u4e00-\u9fff]/.test(card.prompt) ? "zh-CN" : "en" }, card.prompt),
      make("span", { class: "tags" }, ...tags))));
}

function update() {
  list.replaceChildren(...(props.value?.cards ?? []).map(tile));
}

watch("value", update);
update();
