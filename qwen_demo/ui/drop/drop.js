// Whatever is dropped or pasted anywhere on the page is taken: images and clips into the question or the panel that is open,
// a PDF into Documents, an address from another tab into the question. A file never opens in place of the page.

const isPdf = (file) => file.type === "application/pdf" || /\.pdf$/i.test(file.name);
const shown = () => [...document.querySelectorAll("#tabs > .tabitem")].find((panel) => panel.checkVisibility());
const QUESTION = "#question input[type=file]", DOCUMENT = "#page-file input[type=file]";
const TAKES_ITSELF = "#question, [aria-dropeffect], input[type=file]";

const accepts = (input, file) => !input.accept || input.accept.split(",").map((kind) => kind.trim().toLowerCase()).some((kind) =>
  kind.startsWith(".") ? file.name.toLowerCase().endsWith(kind) : file.type.startsWith(kind.replace("*", "")));

function give(input, files) {
  const transfer = new DataTransfer();
  for (const file of input.multiple ? files : files.slice(0, 1)) transfer.items.add(file);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

const tab = (name) => document.querySelector(`#tabs [role="tab"][data-tab-id="${name}"]`);

// What is in a tab is drawn when it is first opened.
function giveWhenThere(selector, files, looks = 200) {
  const input = document.querySelector(selector);
  if (input) give(input, files);
  else if (looks) requestAnimationFrame(() => giveWhenThere(selector, files, looks - 1));
}

function take(files) {
  const pages = files.filter(isPdf), others = files.filter((file) => !isPdf(file));
  const panel = shown();
  const own = panel && !panel.querySelector("#question") && [...panel.querySelectorAll("input[type=file]")].find((input) => files.every((file) => accepts(input, file)));
  if (own) return give(own, files);
  if (others.length) {
    tab("chat")?.click();
    giveWhenThere(QUESTION, others);
  }
  if (pages.length) {
    tab("documents")?.click();
    giveWhenThere(DOCUMENT, pages);
  }
}

const addressOf = (data) => {
  const url = (data.getData("text/uri-list") || "").split("\n").find((line) => line && !line.startsWith("#"))?.trim() ?? "";
  return /^https?:/.test(url) ? url : "";
};
const carries = (data) => data && ["Files", "text/uri-list"].some((kind) => data.types.includes(kind));

let cover = null;
function covered(wanted) {
  cover ??= Object.assign(document.createElement("div"), { id: "drop-cover", textContent: words.drop });
  if (wanted) document.body.append(cover);
  else cover.remove();
}

document.addEventListener("dragover", (event) => {
  if (!carries(event.dataTransfer)) return;
  event.preventDefault();
  covered(!event.target.closest?.(TAKES_ITSELF));
}, true);
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) covered(false); }, true);
document.addEventListener("drop", (event) => {
  covered(false);
  const data = event.dataTransfer;
  if (!carries(data)) return;
  event.preventDefault();
  const files = [...data.files];
  const itself = event.target.closest?.(TAKES_ITSELF);
  if (files.length && itself && !(itself.closest("#question") && files.some(isPdf))) return;
  event.stopPropagation();
  if (files.length) return take(files);
  const url = addressOf(data);
  if (url) dispatchEvent(new CustomEvent("qwen-demo-address", { detail: url }));
}, true);

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length || (event.target.closest?.("#question") && !files.some(isPdf))) return;
  event.preventDefault();
  event.stopPropagation();
  take(files);
}, true);
