// What differs from the default settings, in the browser's storage; what belongs to a conversation in that of the tab. In the head, for several views.

const LONGEST = 50_000;
// Who shares a browser and has a login of their own has their own ones.
const key = (what) => `qwen-demo.${what}${window.gradio_config?.username ? `.of.${window.gradio_config.username}` : ""}`;
let known = null;

const same = (one, other) => (typeof other === "string" ? String(one ?? "").trim() === other.trim() : Number(one ?? 0) === Number(other ?? 0));

function read(storage, what) {
  try {
    return JSON.parse(window[storage].getItem(key(what)));
  } catch {
    return null;
  }
}

function write(storage, what, value) {
  try {
    if (value) window[storage].setItem(key(what), JSON.stringify(value));
    else window[storage].removeItem(key(what));
  } catch {}
}

// What was kept may be of another version or from a server with other bounds.
function fitting({ usual, choices, least = -Infinity, most = Infinity }, value) {
  if (choices) return choices.includes(value) ? value : undefined;
  if (typeof usual === "string") return typeof value === "string" && value.length <= LONGEST ? value : undefined;
  return Number.isFinite(value) ? Math.min(Math.max(value, least), most) : undefined;
}

function restore(controls, values) {
  known = controls;
  const kept = { ...read("localStorage", "settings"), ...read("sessionStorage", "settings") };
  // What was set before this ran is newer.
  return controls.map((control, place) => (same(values[place], control.usual) ? fitting(control, kept[control.name]) : undefined) ?? values[place]);
}

// Of the controls with these names; the values, for who calls.
function keep(names, values) {
  if (!known) return values;
  for (const storage of ["localStorage", "sessionStorage"]) {
    const kept = new Map(Object.entries(read(storage, "settings") ?? {}));
    for (const control of known.filter(({ name, tab }) => names.includes(name) && tab === (storage === "sessionStorage"))) {
      const value = values[names.indexOf(control.name)];
      if (same(value, control.usual) || fitting(control, value) === undefined) kept.delete(control.name);
      else kept.set(control.name, value);
    }
    write(storage, "settings", kept.size ? Object.fromEntries(kept) : null);
  }
  return values;
}

const usual = () => known.map((control) => control.usual);
const collection = () => {
  const name = read("sessionStorage", "collection");
  return typeof name === "string" ? name : "";
};
const keepCollection = (name) => write("sessionStorage", "collection", name);

window.qwenDemo = { ...window.qwenDemo, settings: { same, restore, keep, usual, collection, keepCollection } };
