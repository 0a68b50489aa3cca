// One image of the conversation with the model's boxes and points over it, and a region that the visitor draws.
// The SVG's user units are pixels of the original image, so what Python placed is drawn as it is.

const root = element.querySelector(".viewer");
const state = { tool: null, region: null, drag: null, zoomed: null, asSeen: false, previewing: false, image: "", nonce: "", drawn: "" };
const FONT_PX = 13;
const CROWDED = 30;

const image = () => props.value?.image ?? null;
const detections = () => props.value?.detections ?? [];
const nameOf = (detection, index) => detection.label || `${words.unnamed} ${index + 1}`;

// ---- what is always there
const toggle = make("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => showAsSeen(!state.asSeen) }, words.as_seen);
const bitmap = draw("image", { x: 0, y: 0, preserveAspectRatio: "none" });
const shapes = draw("g", { class: "detections" });
const regionShape = draw("g", { class: "region" });
const svg = draw("svg", { role: "img", tabindex: "-1" }, bitmap, shapes, regionShape);
// What the browser cannot play shows its first frame.
const film = make("video", { controls: true, playsinline: true, preload: "metadata" });
const clip = make("figure", { class: "clip", hidden: true }, film, make("figcaption", {}));
const stage = make("div", { class: "stage" }, svg);
const empty = make("p", { class: "empty" }, words.empty);
const caption = make("p", { class: "caption" });
const tool = (kind) =>
  make("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => useTool(state.tool === kind ? null : kind) }, words[kind]);
const tools = { box: tool("box"), point: tool("point") };
const whole = make("button", { type: "button", class: "quiet", hidden: true, onclick: () => zoom(null) }, words.whole);
const hint = make("p", { class: "hint", hidden: true }, words.draw_hint);
const askCrop = make("button", { type: "button", class: "strong", onclick: () => ask("crop") }, words.ask_crop);
const askCoordinates = make("button", { type: "button", class: "quiet", onclick: () => ask("coordinates") }, words.ask_coordinates);
const cropNote = make("p", { class: "hint" });
const regionBar = make("div", { class: "region-bar", hidden: true },
  make("div", { class: "row" }, askCrop, askCoordinates,
    make("button", { type: "button", class: "quiet", onclick: () => setRegion(null) }, words.remove)), cropNote);
const choices = make("div", { class: "choices row", role: "group", "aria-label": words.pick });
const list = make("ol", { class: "labels" });
const notes = make("p", { class: "hint" });
const copied = make("span", { class: "copied", role: "status" });
const copy = make("button", { type: "button", class: "quiet copy", onclick: () => toClipboard() }, words.copy);
const exports_ = make("div", { class: "row exports", role: "group", "aria-label": words.export }, make("span", {}, words.export),
  ...["json", "coco", "csv", "png"].map((kind) =>
    make("button", { type: "button", class: `quiet ${kind}`, onclick: () => trigger("export", { kind }) }, words[kind])), copy, copied);
const turn = make("button", { type: "button", class: "quiet", hidden: true, onclick: () => trigger("turn", { id: image().id }) }, words.turn);
const found = make("div", { class: "found" }, make("h3", {}, words.detections), list, notes, exports_);
const earlier = make("p", { class: "earlier", hidden: true }, make("span", {}),
  make("button", { type: "button", class: "quiet", onclick: () => trigger("look", { turn: null }) }, words.newest));
const body = make("div", { class: "body" }, stage, caption,
  make("div", { class: "row tools" }, tools.box, tools.point, toggle, turn, whole), hint, regionBar, choices, found);
root.append(make("section", { "aria-label": words.title }, make("h2", {}, words.title), earlier, empty, clip, body));

// ---- the image
const scale = () => {
  const width = svg.clientWidth || 1;
  return svg.viewBox.baseVal.width / width; // user units in one pixel of the screen
};

function showImage() {
  const current = image();
  empty.hidden = Boolean(current);
  body.hidden = !current;
  if (!current) return;
  const [width, height] = current.size;
  if (state.image !== current.id) {
    state.image = current.id;
    state.zoomed = state.region = null;
    useTool(null);
  }
  bitmap.setAttribute("width", width);
  bitmap.setAttribute("height", height);
  stage.style.setProperty("--ratio", width / height);
  // A preview that the slider began ends with the answer's first box.
  if (props.value.as_seen) state.asSeen = state.previewing = true;
  else if (state.previewing && props.value.found) state.asSeen = state.previewing = false;
  describe(current);
  applyZoom();
  loadPixels(current);
}

function describe(current) {
  const [width, height] = current.size;
  const [seenWidth, seenHeight] = current.seen;
  const { views } = current;
  caption.replaceChildren(views
    ? counted("views", views, { count: views, width: current.view_size[0], height: current.view_size[1] })
    : fill(words.original, { width, height }) +
      (seenWidth ? " · " + fill(words.seen_at, { width: seenWidth, height: seenHeight }) : ""));
  // Regions belong to images: a part of a sheet of views is none.
  for (const button of Object.values(tools)) button.hidden = Boolean(views);
  turn.hidden = !views;
  svg.setAttribute("aria-label", fill(state.tool ? words.canvas_drawing : words.canvas, { name: current.name }));
  toggle.setAttribute("aria-pressed", String(state.asSeen));
  toggle.hidden = !seenWidth;
}

function showAsSeen(wanted) {
  state.asSeen = wanted;
  state.previewing = false;
  describe(image());
  loadPixels(image());
}

// Down to the model's resolution, and shown in its pixels: what is lost becomes visible.
function loadPixels(current) {
  const url = fileUrl(current.view);
  const [width, height] = current.seen;
  const wanted = state.asSeen && width ? `${url} ${width} ${height}` : url;
  if (bitmap.dataset.pixels === wanted) return;
  bitmap.dataset.pixels = wanted;
  svg.classList.toggle("as-seen", wanted !== url);
  if (wanted === url) return void bitmap.setAttribute("href", url);
  const source = new Image();
  source.onload = () => {
    if (bitmap.dataset.pixels !== wanted) return;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(source, 0, 0, width, height);
    bitmap.setAttribute("href", canvas.toDataURL());
    bitmap.dataset.resolution = `${width}x${height}`;
  };
  source.src = url;
}

// ---- detections
function showDetections() {
  const key = JSON.stringify([state.image, detections(), props.value?.found]);
  if (key === state.drawn) return;
  state.drawn = key;
  const focused = [...list.querySelectorAll("button")].indexOf(document.activeElement);
  shapes.replaceChildren(...detections().map(shapeOf));
  shapes.classList.toggle("crowded", detections().length > CROWDED);
  list.replaceChildren(...detections().map(labelOf));
  if (focused >= 0) list.querySelectorAll("button")[focused]?.focus();
  found.hidden = !(props.value?.found > 0);
  const lost = props.value.found - detections().length;
  notes.replaceChildren(
    [!image().views && detections().length && fill(words.own_pixels, { width: image().size[0], height: image().size[1] }),
      image().views && detections().some(({ spot }) => spot) && words.in_space,
      props.value.capped && fill(words.capped, { count: number(props.value.found) }),
      lost > 0 && fill(words.outside, { count: lost, found: props.value.found })].filter(Boolean).join(" "));
  // Of a growing answer about views, places in space come at its end, and so do files of them.
  exports_.hidden = !detections().length || (image().views > 0 && !detections()[0].spot);
  exports_.querySelector(".coco").hidden = copy.hidden = Boolean(image().views);
  copied.textContent = "";
  if (state.zoomed !== null && !detections()[state.zoomed]) zoom(null);
  arrangeLabels();
}

// In the model's own format, but in the image's pixels.
async function toClipboard() {
  const places = detections().map(({ at, label }) => ({ [at.length === 2 ? "point_2d" : "bbox_2d"]: at.map((value) => Math.round(value)), label }));
  try {
    await navigator.clipboard.writeText(JSON.stringify(places, null, 2));
    copied.textContent = words.copied;
  } catch {
    copied.textContent = words.copy_failed;
  }
}

function shapeOf(detection, index) {
  const outline = ([x1, y1, x2, y2]) => x2 === undefined
    ? draw("circle", { cx: x1, cy: y1 })
    : draw("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 });
  const shape = outline(detection.at);
  // The same thing in other views, and its box in space.
  const more = (detection.more ?? []).map(outline);
  const lines = (detection.edges ?? []).map(([x1, y1, x2, y2]) => `M${x1} ${y1}L${x2} ${y2}`).join("");
  const text = draw("text", {}, nameOf(detection, index).slice(0, 28));
  const group = draw("g", {
    "data-index": index, style: `--colour: ${detection.colour}`,
    onpointerenter: () => highlight(index, true), onpointerleave: () => highlight(index, false),
    onclick: () => zoom(state.zoomed === index ? null : index),
  }, shape, text, ...more, lines ? draw("path", { d: lines }) : null);
  group.detection = detection;
  return group;
}

function labelOf(detection, index) {
  const spot = detection.spot || detection.at.map((value) => Math.round(value)).join(", ");
  return make("li", {}, make("button", {
    type: "button", "data-index": index, tabindex: index ? "-1" : "0", "aria-pressed": "false",
    title: fill(words.zoom, { label: nameOf(detection, index) }),
    onclick: () => zoom(state.zoomed === index ? null : index),
    onpointerenter: () => highlight(index, true), onpointerleave: () => highlight(index, false),
    onfocus: () => highlight(index, true), onblur: () => highlight(index, false),
  }, make("span", { class: "swatch", style: `background: ${detection.colour}`, "aria-hidden": "true" }),
  make("span", { class: "label" }, nameOf(detection, index)), make("span", { class: "spot" }, spot)));
}

function highlight(index, on) {
  for (const node of root.querySelectorAll(`[data-index="${index}"]`)) node.classList.toggle("lit", on);
}

// Text and points keep their size on the screen, whatever the zoom.
function arrangeLabels() {
  const unit = scale();
  const view = svg.viewBox.baseVal;
  shapes.style.fontSize = `${FONT_PX * unit}px`;
  shapes.style.strokeWidth = `${3 * unit}px`;
  for (const group of shapes.children) {
    const { detection } = group;
    const text = group.children[1];
    for (const dot of group.querySelectorAll("circle")) dot.setAttribute("r", 6 * unit);
    const width = text.textContent.length * FONT_PX * 0.58 * unit;
    const above = detection.at[1] - 5 * unit;
    const top = view.y + FONT_PX * unit;
    const [x1, y1, x2 = x1, y2 = y1] = detection.at;
    const inView = x1 < view.x + view.width && x2 > view.x && y1 < view.y + view.height && y2 > view.y;
    text.style.visibility = inView ? "" : "hidden";
    text.setAttribute("x", Math.max(view.x, Math.min(detection.at[0], view.x + view.width - width)));
    text.setAttribute("y", above > top ? above : Math.max(detection.at[1], view.y) + (FONT_PX + 3) * unit);
  }
}

// ---- zoom
function zoom(index) {
  state.zoomed = index;
  applyZoom();
}

function applyZoom() {
  const [width, height] = image().size;
  const detection = state.zoomed === null ? null : detections()[state.zoomed];
  let [x, y, w, h] = [0, 0, width, height];
  if (detection) {
    const [x1, y1, x2 = x1, y2 = y1] = detection.at;
    w = Math.min(width, Math.max((x2 - x1) * 1.5, ((y2 - y1) * 1.5 * width) / height, width / (detection.at.length === 2 ? 4 : 12)));
    h = (w * height) / width;
    x = Math.min(Math.max((x1 + x2 - w) / 2, 0), width - w);
    y = Math.min(Math.max((y1 + y2 - h) / 2, 0), height - h);
  }
  svg.setAttribute("viewBox", `${x} ${y} ${w} ${h}`);
  whole.hidden = !detection;
  for (const button of list.querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(Number(button.dataset.index) === state.zoomed));
  arrangeLabels();
  showRegion();
}

// ---- a region of the visitor's
function useTool(kind) {
  state.tool = kind;
  for (const [name, button] of Object.entries(tools)) button.setAttribute("aria-pressed", String(name === kind));
  svg.classList.toggle("drawing", Boolean(kind));
  svg.setAttribute("tabindex", kind ? "0" : "-1");
  svg.setAttribute("role", kind ? "application" : "img");
  hint.hidden = !kind;
  setRegion(null);
  if (image()) describe(image());
  if (kind) svg.focus({ preventScroll: true });
}

function setRegion(at) {
  state.region = at;
  regionBar.hidden = !at;
  askCoordinates.hidden = Boolean(props.value?.crop_only);
  cropNote.textContent = props.value?.crop_only ? words.crop_only_note : words.crop_note;
  showRegion();
}

function showRegion() {
  const at = state.region;
  if (!at) return regionShape.replaceChildren();
  const [x1, y1, x2, y2] = at;
  regionShape.replaceChildren(at.length === 4
    ? draw("rect", { x: Math.min(x1, x2), y: Math.min(y1, y2), width: Math.abs(x2 - x1), height: Math.abs(y2 - y1) })
    : draw("circle", { cx: x1, cy: y1, r: 7 * scale() }));
}

function spotOf(event) {
  const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const [width, height] = image().size;
  return [Math.min(Math.max(spot.x, 0), width), Math.min(Math.max(spot.y, 0), height)];
}

svg.addEventListener("pointerdown", (event) => {
  if (!state.tool || event.button) return;
  event.preventDefault();
  svg.focus({ preventScroll: true });
  svg.setPointerCapture(event.pointerId);
  state.drag = spotOf(event);
  setRegion(state.tool === "point" ? state.drag : null);
});
svg.addEventListener("pointermove", (event) => {
  if (!state.drag) return;
  setRegion(state.tool === "point" ? spotOf(event) : [...state.drag, ...spotOf(event)]);
});
svg.addEventListener("pointerup", () => {
  state.drag = null;
  const at = state.region;
  if (at?.length === 4) {
    const [x1, y1, x2, y2] = at;
    const small = Math.abs(x2 - x1) < 4 * scale() || Math.abs(y2 - y1) < 4 * scale();
    setRegion(small ? null : [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)]);
  }
});
svg.addEventListener("pointercancel", () => { state.drag = null; });

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
svg.addEventListener("keydown", (event) => {
  if (!state.tool) return;
  if (event.key === "Enter" && state.region) return void (event.preventDefault(), ask("crop"));
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  const { x, y, width, height } = svg.viewBox.baseVal;
  const start = state.tool === "point" ? [x + width / 2, y + height / 2] : [x + width / 3, y + height / 3, x + (width * 2) / 3, y + (height * 2) / 3];
  if (!state.region) return setRegion(start);
  setRegion(moved(state.region, STEPS[event.key], width / 40, event.shiftKey));
});

function moved(at, [dx, dy], step, resize) {
  const [width, height] = image().size;
  const limit = (value, most) => Math.min(Math.max(value, 0), most);
  if (resize && at.length === 4) {
    const [x1, y1, x2, y2] = at;
    return [x1, y1, limit(Math.max(x2 + dx * step, x1 + step), width), limit(Math.max(y2 + dy * step, y1 + step), height)];
  }
  const shift = (value, index) => value + (index % 2 ? dy : dx) * step;
  const next = at.map(shift);
  const inside = next.every((value, index) => value >= 0 && value <= (index % 2 ? height : width));
  return inside ? next : at;
}

function ask(how) {
  if (!state.region) return;
  trigger("region", { how, at: state.region });
  useTool(null);
  document.querySelector("#question textarea")?.focus();
}

// ---- keys of the whole view
root.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (state.region) setRegion(null);
    else if (state.tool) useTool(null);
    else if (state.zoomed !== null) zoom(null);
    else return;
    event.stopPropagation();
  }
  const buttons = [...list.querySelectorAll("button")];
  const at = buttons.indexOf(event.target);
  if (at < 0) return;
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (next === undefined || !buttons[next]) return;
  event.preventDefault();
  buttons[at].tabIndex = -1;
  buttons[next].tabIndex = 0;
  buttons[next].focus();
});

function showChoices() {
  const given = props.value?.choices ?? [];
  choices.hidden = !given.length;
  choices.replaceChildren(make("span", {}, props.value.found ? words.pick : words.show), ...given.map((choice, index) =>
    make("button", {
      type: "button", class: "quiet", title: choice.name, "aria-pressed": String(choice.id === state.image),
      onclick: () => trigger("pick", { id: choice.id }),
    }, fill(words.nth, { number: index + 1 }))));
}

function download() {
  const file = props.value?.download;
  if (!file || file.nonce === state.nonce) return;
  state.nonce = file.nonce;
  const link = make("a", { href: fileUrl(file.file), download: file.name });
  document.body.append(link);
  link.click();
  link.remove();
}

function showClip() {
  const current = props.value?.clip;
  clip.hidden = !current;
  if (!current) return film.pause();
  empty.hidden = true;
  const url = fileUrl(current.id);
  if (film.getAttribute("src") !== url) Object.assign(film, { src: url, poster: fileUrl(current.view) });
  film.setAttribute("aria-label", current.name);
  const [width, height] = current.seen;
  clip.lastChild.textContent = counted(width ? "clip" : "clip_unknown", current.frames, { frames: current.frames, width, height });
}

function showEarlier() {
  const turn = props.value?.turn ?? null;
  earlier.hidden = turn === null;
  earlier.firstChild.textContent = turn === null ? "" : fill(words.earlier, { question: props.value.asked });
}

// ---- at each answer after the first image: a button that shows again what that answer was about
const EYE = "M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12zM12 9.500a2.500 2.500 0 1 0 0 5a2.500 2.500 0 1 0 0-5";
const follows = (node, other) => Boolean(node.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);

function look(bar) {
  const asked = [...document.querySelectorAll("#chat .message-wrap > .user-row")];
  trigger("look", { turn: window.qwenDemo.longChat.held().asked + asked.filter((row) => follows(row, bar)).length - 1 });
  window.qwenDemo.frame.change("side", true);
}

function addLooks() {
  const first = document.querySelector("#chat .message-wrap > .user-row :is(img, video)");
  const all = window.qwenDemo.longChat.held().files;
  if (!first && !all) return;
  for (const bar of document.querySelectorAll("#chat .message-wrap > .bot-row + .message-buttons:not(:has(> .look))")) {
    if (!all && !follows(first, bar)) continue;
    window.qwenDemo.place(bar, make("button", { type: "button", class: "look", title: words.look, "aria-label": words.look, onclick: () => look(bar) },
      draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: EYE }))));
  }
}
let planned = false;
new MutationObserver(() => {
  if (!planned) requestAnimationFrame(() => { planned = false; addLooks(); });
  planned = true;
}).observe(document.querySelector("#chat") ?? document.body, { childList: true, subtree: true });

function update() {
  showEarlier();
  showImage();
  showClip();
  if (image()) {
    showDetections();
    showChoices();
  }
  download();
}

new ResizeObserver(() => image() && applyZoom()).observe(stage);
watch("value", update);
update();
