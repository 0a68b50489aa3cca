// The camera, an image of it every few seconds, and the latest answer.
// A new image is taken only when the last answer has ended or was dropped: there is never a backlog.

const root = element.querySelector(".camera");
const SIDE = 1024;  // longest side of an image that is sent, in pixels
const PATIENCE_MS = 60_000;  // without any sign of an answer
const TICK_MS = 200;

const video = make("video", { muted: true, playsinline: true, autoplay: true, "aria-label": words.video });
video.muted = true;
const start = make("button", { type: "button", class: "quiet start", onclick: () => begin() }, words.start);
const stop = make("button", { type: "button", class: "quiet stop", disabled: true, onclick: () => end("") }, words.stop);
const state = make("p", { role: "status" }, words.idle);
const asked = make("p", { class: "asked" });
const image = make("img", { alt: words.image });
const answerText = make("div", { class: "answer-text", "aria-live": "polite" }, words.none);
const problem = make("p", { class: "problem", role: "alert" });
const note = make("p", { class: "note" });
const answer = make("div", { class: "answer" }, make("div", { class: "head" }, image, asked), answerText, problem, note);
const stage = make("div", { class: "stage" }, video);
root.append(make("section", {}, make("div", { class: "row" }, start, stop, state), make("div", { class: "columns" }, make("div", { class: "left" }, stage), answer)));
const canvas = document.createElement("canvas");

let stream = null;
let timer = null;
let shot = 0;  // number of the last image
let waiting = false;  // for the answer to it
let heard = 0;  // when something of that answer came last
let last = 0;  // when the last image was taken
let taken = "";  // its time, for people

const every = () => Number(document.querySelector("#camera-every input[type=number]")?.value) || 3;
const visible = () => root.getClientRects().length > 0;

async function begin() {
  start.disabled = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } }, audio: false });
  } catch (error) {
    start.disabled = false;
    state.textContent = fill(words.refused, { reason: error.message });
    return;
  }
  if (document.hidden || !visible()) return end(words.hidden);
  video.srcObject = stream;
  // Unplugged, or no longer allowed: its last image would be asked about for ever.
  for (const track of stream.getTracks()) track.onended = () => end("");
  root.classList.add("running");
  stop.disabled = false;
  last = 0;
  timer = setInterval(tick, TICK_MS);
}

function end(why) {
  clearInterval(timer);
  if (waiting) drop();
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = timer = video.srcObject = null;
  root.classList.remove("running");
  start.disabled = false;
  stop.disabled = true;
  state.textContent = why || words.idle;
}

function drop() {
  waiting = false;
  trigger("drop", { shot });
}

function tick() {
  if (document.hidden || !visible()) return end(words.hidden);
  const now = performance.now();
  if (waiting && now - heard > PATIENCE_MS) {
    drop();
    state.textContent = words.dropped;
  }
  if (waiting) return;
  const left = last ? last + every() * 1000 - now : 0;
  if (left > 0) state.textContent = fill(words.next, { seconds: Math.ceil(left / 1000) });
  else if (video.videoWidth > 0) look(now);
}

function look(now) {
  const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  shot += 1;
  waiting = true;
  heard = last = now;
  taken = new Date().toLocaleTimeString(language);
  state.textContent = fill(words.looking, { time: taken });
  const url = canvas.toDataURL("image/jpeg", 0.85);
  image.dataset.next = url;
  trigger("look", { shot, image: url });
}

function update() {
  const value = props.value ?? {};
  // Answers to images that were dropped come late, if at all.
  if (value.shot !== shot || !waiting) return;
  heard = performance.now();
  waiting = value.running;
  root.dataset.answered = String(waiting ? shot - 1 : shot);
  if (!value.text && !value.problem) return;
  image.src = image.dataset.next;
  asked.textContent = fill(words.asked, { time: taken });
  answerText.textContent = value.text ?? "";
  tell(problem, value);
  note.textContent = value.note ?? "";
}

document.addEventListener("visibilitychange", () => document.hidden && stream && end(words.hidden));
window.addEventListener("pagehide", () => stream && end(""));
watch("value", update);
