// Every image and clip that the next question sends: its size for the model, its tokens, and a switch.

const root = element.querySelector(".context");
const total = make("p", { class: "total" });
const meter = make("div", { class: "meter", role: "meter", "aria-label": words.meter, "aria-valuemin": "0", "aria-valuemax": "100" }, make("span"));
const empty = make("p", { class: "empty" }, words.empty);
const list = make("ul", { class: "chips" });
root.append(make("section", { "aria-label": words.title }, make("h2", {}, words.title), empty, list, meter, total));

const seconds = (value) => (value < 1 ? `${Math.max(1, Math.round(value * 1000))} ms` : `${value.toFixed(1)} s`);
const bytes = (value) => (value < 1 << 20 ? `${Math.ceil(value / 1024)} KiB` : `${(value / (1 << 20)).toFixed(1)} MiB`);

function flip(id) {
  const items = props.value.items.map((item) => (item.id === id ? { ...item, on: !item.on, alone: "" } : item));
  props.value = { ...props.value, items };
  update();
  trigger("toggle", { id });
}

function chip(item) {
  const facts = item.problem ? [] : [
    fill(words.size, { width: item.size[0], height: item.size[1], seen_width: item.seen[0], seen_height: item.seen[1] }),
    item.frames ? counted("frames", item.frames, item) : "",
    item.tokens ? counted("tokens", item.tokens, { tokens: number(item.tokens) }) : "",
  ].filter(Boolean);
  const image = item.view ? make("img", { src: fileUrl(item.view), alt: "", loading: "lazy" }) : make("span", { class: "no-image", "aria-hidden": "true" }, "!");
  const tags = [
    item.pending && make("span", { class: "tag" }, words.pending),
    item.cached && make("span", { class: "tag cached", title: words.cached_why }, words.cached),
  ];
  const about = make("span", { class: "about" }, make("span", { class: "name" }, make("span", { class: "file" }, item.name), ...tags), make("span", { class: "facts" }, facts.join(" · ")));
  if (item.problem) tell(about.lastChild, item);
  const show = make("button", {
    type: "button", class: "show", "aria-label": fill(words.show, { name: item.name }), "data-key": `show ${item.id}`,
    disabled: !item.view || item.frames > 0, onclick: () => trigger("pick", { id: item.id }),
  }, image, about);
  const send = make("button", {
    type: "button", class: "switch", role: "switch", "aria-checked": String(item.on), "data-key": `send ${item.id}`,
    "aria-label": fill(words.send, { name: item.name }), onclick: () => flip(item.id),
  }, make("span", { class: "knob", "aria-hidden": "true" }), make("span", { class: "state" }, item.on ? words.on : words.off));
  return make("li", { class: `chip${item.on ? "" : " off"}${item.problem ? " refused" : ""}` }, show, send);
}

function update() {
  const value = props.value ?? {};
  const items = value.items ?? [];
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  empty.hidden = items.length > 0;
  meter.hidden = total.hidden = !items.length;
  list.replaceChildren(...items.map(chip));
  if (focused) [...root.querySelectorAll("[data-key]")].find((node) => node.dataset.key === focused)?.focus();
  if (!items.length) return;
  const share = value.context ? value.tokens / value.context : 0;
  meter.setAttribute("aria-valuenow", String(Math.min(100, Math.round(share * 100))));
  meter.firstChild.style.width = `${Math.min(100, share * 100)}%`;
  meter.classList.toggle("over", share > 1);
  total.textContent = [
    fill(words.total, { tokens: number(value.tokens), context: number(value.context), share: percent(share) }),
    !value.tokens ? "" : !value.fresh ? words.no_new : value.seconds == null ? words.no_time : fill(words.time, { time: seconds(value.seconds) }),
    value.bytes ? fill(words.memory, { size: bytes(value.bytes) }) : "",
    value.prompt ? fill(words.reused, { reused: number(value.reused), prompt: number(value.prompt) }) : "",
  ].filter(Boolean).join(" · ");
}

followFiles("#question", () => trigger("attached", {}));

watch("value", update);
update();
