// An answer about a clip. The times that it names are buttons in the text and a list beside it; both seek the player.

const root = element.querySelector(".timestamps");
const empty = make("p", {}, words.empty);
const problem = make("p", { class: "problem", role: "alert" });
const said = make("div", { class: "said", "aria-live": "polite" });
const note = make("p", { class: "note" });
const found = make("div", { class: "found" });
root.append(make("section", { "aria-label": words.title }, make("h3", {}, words.title), empty, said, problem, note, found));

// Longer pieces of the answer, such as JSON objects, stay text: the list has their button.
const LONGEST_LINK = 40;
const TYPES = { srt: ["moments.srt", "application/x-subrip"], vtt: ["moments.vtt", "text/vtt"], chapters: ["chapters.txt", "text/plain"] };

const seek = (moment) => document.dispatchEvent(new CustomEvent("clip-seek", { detail: { seconds: moment.start } }));
const link = (moment, text, name) => make("button", {
  type: "button", class: name, "aria-label": fill(words.seek, { time: moment.time }), onclick: () => seek(moment),
}, text);

function written(text, moments) {
  // Python counts characters, JavaScript halves of them.
  const characters = Array.from(text);
  const pieces = [];
  let last = 0;
  for (const moment of moments) {
    if (moment.to - moment.from > LONGEST_LINK || moment.from < last) continue;
    pieces.push(characters.slice(last, moment.from).join(""), link(moment, characters.slice(moment.from, moment.to).join(""), "time"));
    last = moment.to;
  }
  return [...pieces, characters.slice(last).join("")];
}

function save(kind, text) {
  const [name, type] = TYPES[kind];
  const url = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function listed(value) {
  const moments = value.moments ?? [];
  if (!moments.length) return value.running || !value.text ? [] : [make("p", {}, words.none)];
  const rows = moments.map((moment) => make("li", {}, make("button", { type: "button", onclick: () => seek(moment) },
    make("span", { class: "clock" }, moment.time), make("span", { class: "label" }, moment.label))));
  const buttons = Object.entries(value.files ?? {}).map(([kind, text]) =>
    make("button", { type: "button", class: "quiet", onclick: () => save(kind, text) }, words[kind]));
  return [
    make("h4", {}, words.moments), make("ol", { class: "list" }, ...rows),
    buttons.length > 0 && make("div", { class: "row" }, make("span", {}, words.export), ...buttons),
  ].filter(Boolean);
}

function update() {
  const value = props.value ?? {};
  const text = value.text ?? "";
  empty.hidden = Boolean(text || value.problem || value.note);
  said.hidden = !text;
  said.replaceChildren(...written(text, value.moments ?? []));
  tell(problem, value);
  note.hidden = !value.note;
  note.textContent = value.note ?? "";
  found.replaceChildren(...listed(value));
  found.hidden = !found.childNodes.length;
}

watch("value", update);
update();
