// A chip for each setting that differs from its default. It also hands on an address that was dropped on the page.

const root = element.querySelector(".set_chips");
const { same } = window.qwenDemo.settings;
const shortOf = (value) => (String(value).length > 24 ? `${String(value).trim().slice(0, 23)}…` : String(value).trim());

// What a schema asks for: its title, or its first fields.
function schemaOf(text) {
  try {
    const { title, properties } = JSON.parse(text);
    return title ?? Object.keys(properties ?? {}).slice(0, 3).join(", ");
  } catch {
    return "?";
  }
}

function update() {
  const { names = [], defaults = [], values = [] } = props.value ?? {};
  const set = names.map((name, place) => ({ name, value: values[place], base: defaults[place] })).filter(({ value, base }) => !same(value, base));
  root.replaceChildren(...set.map(({ name, value }) => {
    const text = fill(words[name], { value: name === "schema" ? shortOf(schemaOf(value)) : shortOf(value) });
    return make("span", { class: "chip", "data-name": name },
      make("button", { type: "button", class: "what", title: words.change, onclick: (event) => window.qwenDemo.frame.change("settings", true, event.currentTarget) }, text),
      make("button", { type: "button", class: "reset", title: fill(words.reset, { text }), "aria-label": fill(words.reset, { text }), onclick: () => trigger("reset", { name }) }, "×"));
  }), ...(set.length > 1 ? [make("button", { type: "button", class: "all", onclick: () => trigger("reset", { name: "all" }) }, words.all)] : []));
}

addEventListener("qwen-demo-address", ({ detail }) => trigger("address", { url: detail }));
watch("value", update);
update();
