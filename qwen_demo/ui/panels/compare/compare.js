// Two answers side by side; when both have ended, what differs between them and how long each took.

const root = element.querySelector(".compare");
const NAMES = ["A", "B"];
const STAGES = ["media", "queue", "resize", "vision", "prefill", "decode"];

const empty = make("p", {}, words.empty);
const columns = make("div", { class: "columns", hidden: true });
const sides = NAMES.map((name) => {
  const given = make("p", { class: "given" });
  const said = make("div", { class: "said" });
  const problem = make("p", { class: "problem", role: "alert" });
  const note = make("p", { class: "note" });
  columns.append(make("section", { class: "side", "aria-label": name }, make("h3", {}, name), given, said, problem, note));
  return { given, said, problem, note };
});
const verdict = make("div", { class: "verdict", role: "status" });
const ended = make("div", { class: "ended" });
root.append(make("section", { "aria-label": words.title }, empty, columns, verdict, ended));

function asked(given) {
  return [
    given.engine,
    fill(words.temperature, { value: given.temperature }),
    given.budget ? fill(words.budget, { value: number(given.budget) }) : words.own_budget,
    fill(words.max_tokens, { value: number(given.max_tokens) }),
    given.seed == null ? "" : fill(words.seed, { value: given.seed }),
  ].filter(Boolean).join(" · ");
}

function show(place, side) {
  place.given.textContent = side.given ? asked(side.given) : "";
  tell(place.problem, side);
  place.note.textContent = side.note ?? "";
  place.note.hidden = !side.note;
  place.said.textContent = side.text ?? "";
  place.said.hidden = !side.text;
  place.said.setAttribute("aria-busy", String(Boolean(side.running)));
}

function compared(value) {
  if (value.same) return [];
  return [
    make("h3", {}, words.difference),
    make("p", { class: "legend" }, make("del", {}, words.gone), " ", make("ins", {}, words.new)),
    make("div", { class: "difference" }, ...marked(value.difference)),
  ];
}

function row({ key, values, better }) {
  const mark = STAGES.includes(key) && make("span", { class: `mark ${key}`, "aria-hidden": "true" });
  const cells = values.map((text, index) => make("td", { class: better === index ? "better" : "" }, text,
    better === index && make("span", { class: "tag" }, words.better)));
  return make("tr", {}, make("th", { scope: "row" }, mark, words[key]), ...cells);
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

function judged({ same, timings }) {
  const [fast, slow] = timings.quicker ? [...timings.speeds].reverse() : timings.speeds;
  return [
    same ? words.same : words.different,
    timings.sooner == null ? words.level : fill(words.sooner, { side: NAMES[timings.sooner], by: timings.by }),
    timings.quicker == null ? "" : fill(words.quicker, { side: NAMES[timings.quicker], fast, slow }),
  ].filter(Boolean).join(" ");
}

function update() {
  const value = props.value ?? {};
  const given = Array.isArray(value.sides) ? value.sides : [];
  empty.hidden = given.length > 0;
  columns.hidden = !given.length;
  sides.forEach((place, index) => show(place, given[index] ?? {}));
  verdict.textContent = value.timings ? judged(value) : "";
  verdict.hidden = !value.timings;
  ended.replaceChildren(...(value.timings ? [...compared(value), ...times(value.timings)] : []));
  ended.hidden = !value.timings;
}

watch("value", update);
update();
