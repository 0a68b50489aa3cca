// Which model answers and which could. While one is fetched or loaded the view asks every second how far that is, else
// now and then whether somebody else has changed it.

const root = element.querySelector(".model_menu");
const BUSY_MS = 1000, IDLE_MS = 15_000;
const GB = 1e9, GIB = 2 ** 30;
const UNDER_WAY = ["downloading", "loading", "draining"];

const name = make("span", { class: "name" });
const short = make("span", { class: "short" });
const summary = make("summary", {}, make("span", { class: "label" }, words.label), " ", name, short);
const problem = make("p", { class: "problem", role: "alert", hidden: true });
const stage = make("p", { class: "stage", role: "status" });
const detail = make("p", { class: "detail" });
const bar = make("progress", { "aria-label": words.progress, max: 1 });
const buttons = make("div", { class: "row" });
const change = make("div", { class: "change", hidden: true }, stage, bar, detail, buttons);
const list = make("ul", { class: "models", "aria-label": words.title });
const machine = make("p", { class: "machine" });
const menu = make("details", { class: "menu" }, summary, make("div", { class: "sheet" }, problem, change, list, machine, make("p", { class: "note" }, words.everybody)));
root.append(menu);

let present = null;
let drawn = "";
let timer = null;
let hurries = 0;

const size = (bytes) => `${(bytes / GB).toFixed(bytes < GB ? 2 : 1)} GB`;
const memory = (bytes) => (bytes / GIB).toFixed(1);
const act = (what, model = "") => trigger("act", { what, model });
const busy = (value) => UNDER_WAY.includes(value.change?.stage) || value.measuring;

function facts(offer, free) {
  const said = [offer.model === "embedded" ? words.comes_with : offer.here ? words.here : offer.download ? fill(words.to_fetch, { size: size(offer.download) }) : words.size_unknown];
  if (offer.needed && free != null) said.push(fill(offer.needed <= free || offer.present ? words.needs : words.needs_more, { needed: memory(offer.needed), free: memory(free) }));
  if (offer.first_s != null) said.push(fill(words.speed, { seconds: offer.first_s < 10 ? offer.first_s.toFixed(1) : Math.round(offer.first_s), rate: offer.tokens_s.toFixed(offer.tokens_s < 10 ? 1 : 0) }));
  return said.join(" · ");
}

function row(offer, value) {
  const waits = UNDER_WAY.includes(value.change.stage) || value.change.stage === "paused";
  const state = offer.present ? make("span", { class: "tag" }, words.answers) : make("button", {
    type: "button", class: "quiet", "data-key": offer.model, disabled: waits,
    "aria-label": fill(offer.here ? words.use_of : words.fetch_of, { name: offer.name }), onclick: () => act("choose", offer.model),
  }, offer.here ? words.use : words.fetch);
  return make("li", { class: offer.present ? "present" : "", "data-model": offer.model },
    make("div", { class: "what" }, make("b", { title: offer.model }, offer.name), offer.about ? make("span", {}, offer.about) : "", make("span", { class: "facts" }, facts(offer, value.free))), state);
}

function showChange({ stage: now, model, name: title, detail: said, done, total }) {
  change.hidden = now === "idle";
  change.dataset.stage = now;
  const heading = fill(words.stages[now] ?? "", { name: title });
  if (stage.textContent !== heading) stage.textContent = heading;
  if (detail.textContent !== said) detail.textContent = said;
  bar.hidden = !["downloading", "paused", "loading"].includes(now);
  if (total && now !== "loading") bar.value = done / total;
  else bar.removeAttribute("value");
  short.textContent = total && ["downloading", "paused"].includes(now) ? percent(done / total) : UNDER_WAY.includes(now) ? "…" : now === "failed" ? "!" : "";
  short.title = heading;
  const wanted = { downloading: ["pause", "cancel"], paused: ["resume", "cancel"], loading: ["cancel"], failed: ["again", "dismiss"] }[now] ?? [];
  if (buttons.dataset.wanted === wanted.join()) return;
  buttons.dataset.wanted = wanted.join();
  const does = { pause: () => act("pause"), cancel: () => act("cancel"), dismiss: () => act("cancel"), resume: () => act("choose", props.value.change.model), again: () => act("choose", props.value.change.model) };
  const held = buttons.contains(document.activeElement);
  buttons.replaceChildren(...wanted.map((each) => make("button", { type: "button", class: "quiet", onclick: does[each] }, words[each])));
  if (held) (buttons.firstElementChild ?? summary).focus();
}

function update() {
  const value = props.value ?? {};
  root.hidden = !value.offers;
  if (!value.offers) return;
  name.textContent = value.name;
  tell(problem, value);
  showChange(value.change);
  machine.textContent = value.measuring ? words.measuring : value.trouble || (value.free == null ? "" : fill(words.free, { free: memory(value.free) }));
  // Rows that stay as they were keep the focus.
  const rows = JSON.stringify([value.offers, value.change.stage, Math.round((value.free ?? 0) / GIB)]);
  if (rows !== drawn) {
    drawn = rows;
    const held = document.activeElement?.dataset?.key;
    list.replaceChildren(...value.offers.map((offer) => row(offer, value)));
    if (held) [...list.querySelectorAll("[data-key]")].find((node) => node.dataset.key === held)?.focus();
  }
  if (present !== null && present !== value.present) trigger("changed", {});
  present = value.present;
  clearTimeout(timer);
  timer = setTimeout(ask, busy(value) || hurries-- > 0 ? BUSY_MS : IDLE_MS);
}

function ask() {
  clearTimeout(timer);
  timer = setTimeout(ask, IDLE_MS);  // also where no answer comes
  if (!document.hidden) trigger("look", { measures: menu.open });
}

menu.addEventListener("toggle", () => menu.open && trigger("look", { measures: true }));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  summary.focus();
});
document.addEventListener("pointerdown", (event) => {
  if (!root.contains(event.target)) menu.open = false;
});
// Sent by a button elsewhere on the page that begins a change.
window.addEventListener("qwen-demo-model", () => {
  hurries = 3;
  ask();
});
watch("value", update);
update();
