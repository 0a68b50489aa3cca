// Buttons that open and close parts of the page's frame; `layout.js` acts on them, and keeps `aria-expanded`.

const root = element.querySelector(".buttons");
const PATHS = {
  rail: "M4 6h16M4 12h16M4 18h16",
  settings: "M4 7h9M17 7h3M13 7a2 2 0 1 0 4 0a2 2 0 1 0-4 0M4 17h3M11 17h9M7 17a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
  side: "M4 5h16v14H4zM14.5 5v14",
  theme: "M20 14.5A8.5 8.5 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  close: "M6 6l12 12M18 6L6 18",
};

for (const name of props.value?.buttons ?? []) {
  const icon = draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: PATHS[name] ?? PATHS.close }));
  root.append(make("button", { type: "button", class: "icon", "data-frame": name, title: words[name], "aria-label": words[name] }, icon));
}
