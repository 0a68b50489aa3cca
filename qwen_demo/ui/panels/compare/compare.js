// Two answers side by side; when both have ended, what differs between them and how long each took.

const root = element.querySelector(".compare");
const NAMES = ["A", "B"];
const STAGES = ["media", "queue", "resize", "vision", "prefill", "decode"];

const empty = make("p", {}, words.empty);
const columns = make("div", { class: "columns", hidden: true });
const sides = NAMES.map((name) => {
  const settings = make("p", { class: "settings" });
  const answerText = make("div", { class: "answer-text" });
  const problem = make("p", { class: "problem", role: "alert" });
  const note = make("p", { class: "note" });
  columns.append(make("section", { class: "side", "aria-label": name }, make("h3", {}, name), settings, answerText, problem, note));
  return { settings, answerText, problem, note };
});
const verdict = make("div", { class: "verdict", role: "status" });
const ended = make("div", { class: "ended" });
root.append(make("section", { "aria-label": words.title }, empty, columns, verdict, ended));

function describe(settings) {
  return [
    settings.engine,
    settings.adapter && fill(words.adapter, { value: settings.adapter }),
    fill(words.temperature, { value: settings.temperature }),
    settings.budget ? fill(words.budget, { value: number(settings.budget) }) : words.own_budget,
    fill(words.max_tokens, { value: number(settings.max_tokens) }),
    settings.seed == null ? "" : fill(words.seed, { value: settings.seed }),
  ].filter(Boolean).join(" · ");
}

function show(place, side) {
  place.settings.textContent = side.settings ? describe(side.settings) : "";
  tell(place.problem, side);
  place.note.textContent = side.note ?? "";
  place.note.hidden = !side.note;
  place.answerText.textContent = side.text ?? "";
  place.answerText.hidden = !side.text;
  place.answerText.setAttribute("aria-busy", String(Boolean(side.running)));
}

function differences(value) {
  if (value.same) return [];
  return [
    make("h3", {}, words.difference),
    make("p", { class: "legend" }, make("del", {}, words.gone), " ", make("ins", {}, words.new)),
    make("div", { class: "difference" }, ...diffNodes(value.difference)),
  ];
}

function row({ key, values, better }) {
  const swatch = STAGES.includes(key) && make("span", { class: `swatch ${key}`, "aria-hidden": "true" });
  const cells = values.map((text, index) => make("td", { class: better === index ? "better" : "" }, text,
    better === index && make("span", { class: "tag" }, words.better)));
  return make("tr", {}, make("th", { scope: "row" }, swatch, words[key]), ...cells);
}

function times(found) {
  const bars = found.bars.map((stages, index) => make("div", { class: "bar-row" }, make("span", {}, NAMES[index]), make("div", { class: "track" },
    ...stages.map(([key, share]) => {
      const bar = make("span", { class: `bar ${key}` });
      bar.style.width = `${share * 100}%`;
      return bar;
    }))));
  const head = make("tr", {}, make("th", { scope: "col" }, words.stage), ...NAMES.map((name) => make("th", { scope: "col" }, name)));
  return [
    make("h3", {}, words.timings),
    make("div", { class: "bars", "aria-hidden": "true" }, ...bars),
    make("table", { "aria-label": words.timings }, make("thead", {}, head), make("tbody", {}, ...found.rows.map(row))),
    make("p", {}, words.shared),
  ];
}

function judge({ same, timings }) {
  const [fast, slow] = timings.quicker ? [...timings.speeds].reverse() : timings.speeds;
  return [
    same ? words.same : words.different,
    timings.sooner == null ? words.level : fill(words.sooner, { side: NAMES[timings.sooner], by: timings.by }),
    timings.quicker == null ? "" : fill(words.quicker, { side: NAMES[timings.quicker], fast, slow }),
  ].filter(Boolean).join(" ");
}

function update() {
  const value = props.value ?? {};
  const answers = Array.isArray(value.sides) ? value.sides : [];
  empty.hidden = answers.length > 0;
  columns.hidden = !answers.length;
  sides.forEach((place, index) => show(place, answers[index] ?? {}));
  verdict.textContent = value.timings ? judge(value) : "";
  verdict.hidden = !value.timings;
  ended.replaceChildren(...(value.timings ? [...differences(value), ...times(value.timings)] : []));
  ended.hidden = !value.timings;
}

followFiles("#compare-question", () => trigger("attached", {}));
watch("value", update);
update();
