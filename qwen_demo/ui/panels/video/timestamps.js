// An answer about a clip. The times that it names are buttons in the text and a list beside it; both seek the player.

const root = element.querySelector(".timestamps");
const empty = make("p", {}, words.empty);
const problem = make("p", { class: "problem", role: "alert" });
const answerText = make("div", { class: "answer-text", "aria-live": "polite" });
const note = make("p", { class: "note" });
const found = make("div", { class: "found" });
root.append(make("section", { "aria-label": words.title }, make("h3", {}, words.title), empty, answerText, problem, note, found));

// Longer pieces of the answer, such as JSON objects, stay text: the list has their button.
const MAX_LINK_CHARACTERS = 40;
const TYPES = { srt: ["timestamps.srt", "application/x-subrip"], vtt: ["timestamps.vtt", "text/vtt"], chapters: ["chapters.txt", "text/plain"] };

const seek = (timestamp) => document.dispatchEvent(new CustomEvent("clip-seek", { detail: { seconds: timestamp.start } }));
const link = (timestamp, text, name) => make("button", {
  type: "button", class: name, "aria-label": fill(words.seek, { time: timestamp.time }), onclick: () => seek(timestamp),
}, text);

function linked(text, timestamps) {
  // Python counts characters, JavaScript halves of them.
  const characters = Array.from(text);
  const pieces = [];
  let last = 0;
  for (const timestamp of timestamps) {
    if (timestamp.to - timestamp.from > MAX_LINK_CHARACTERS || timestamp.from < last) continue;
    pieces.push(characters.slice(last, timestamp.from).join(""), link(timestamp, characters.slice(timestamp.from, timestamp.to).join(""), "time"));
    last = timestamp.to;
  }
  return [...pieces, characters.slice(last).join("")];
}

function listed(value) {
  const timestamps = value.timestamps ?? [];
  if (!timestamps.length) return value.running || !value.text ? [] : [make("p", {}, words.none)];
  const rows = timestamps.map((timestamp) => make("li", {}, make("button", { type: "button", onclick: () => seek(timestamp) },
    make("span", { class: "clock" }, timestamp.time), make("span", { class: "label" }, timestamp.label))));
  const buttons = Object.entries(value.files ?? {}).map(([kind, text]) =>
    make("button", { type: "button", class: "quiet", onclick: () => saveText(...TYPES[kind], text) }, words[kind]));
  return [
    make("h4", {}, words.timestamps), make("ol", { class: "list" }, ...rows),
    buttons.length > 0 && make("div", { class: "row" }, make("span", {}, words.export), ...buttons),
  ].filter(Boolean);
}

function update() {
  const value = props.value ?? {};
  const text = value.text ?? "";
  empty.hidden = Boolean(text || value.problem || value.note);
  answerText.hidden = !text;
  answerText.replaceChildren(...linked(text, value.timestamps ?? []));
  tell(problem, value);
  note.hidden = !value.note;
  note.textContent = value.note ?? "";
  found.replaceChildren(...listed(value));
  found.hidden = !found.childNodes.length;
}

watch("value", update);
update();
