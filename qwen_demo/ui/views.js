// Small words for building elements. What comes from models and visitors becomes text nodes, never HTML.

const add = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
};
const make = (tag, attributes = {}, ...children) => add(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  add(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const language = Object.keys(inAll).find((tag) => tag.slice(0, 2) === navigator.language.toLowerCase().slice(0, 2)) ?? "en";
const words = inAll[language];
// "{width} pixels" with {width: 3} -> "3 pixels".
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
// The same for a count: `one_NAME` of the words where that is 1.
const counted = (name, count, values) => fill(words[count === 1 ? `one_${name}` : name], values);
const number = (value) => Number(value).toLocaleString("en");
const percent = (share) => (share > 0 && share < 0.01 ? "< 1 %" : `${Math.round(share * 100)} %`);
// A problem in the visitor's language; where that says less, the server's own words stand beneath.
const tell = (node, value) => {
  node.hidden = !value.problem;
  node.replaceChildren(value.problem ?? "", value.original ? make("span", { class: "original", lang: "en" }, value.original) : "");
};
// Uploads and what the page made of them; nothing is loaded from anywhere else.
const fileUrl = (path) => {
  const root = (window.gradio_config?.root ?? "").replace(/\/$/, "");
  return `${root}/gradio_api/file=${String(path).split("/").map(encodeURIComponent).join("/")}`;
};
// A file for the visitor, made in the browser.
const saveText = (name, type, text) => {
  const url = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
};
// Pieces of a difference, [kind, text] each; `del` and `ins` tell without colour.
const diffNodes = (pieces) => pieces.map(([kind, text]) => make({ gone: "del", new: "ins" }[kind] ?? "span", {}, text));
// Tells when the files of a box for a question may be others: Gradio tells of every key in it, and not what changed.
const followFiles = (selector, tell) => {
  let told = false;
  const files = new MutationObserver(() => {
    if (!told) requestAnimationFrame(() => { told = false; tell(); });
    told = true;
  });
  const follow = () => {
    const box = document.querySelector(selector);
    if (box) files.observe(box, { childList: true, characterData: true, subtree: true, attributes: true, attributeFilter: ["src"] });
    else requestAnimationFrame(follow);
  };
  follow();
};
