// The frames of a clip that the model sees, with their times. A click shows that time in the player.

const root = element.querySelector(".frames");
const empty = make("p", {}, words.empty);
const problem = make("p", { class: "problem", role: "alert" });
const list = make("ol", { class: "list" });
const facts = make("p", { class: "facts" });
root.append(make("section", { "aria-label": words.title }, make("h3", {}, words.title), empty, problem, list, facts));

const player = () => document.querySelector("#clip video");
const clock = (seconds) => {
  const tenths = Math.round(seconds * 10);
  const pad = (value) => String(value).padStart(2, "0");
  const rest = `${pad(Math.floor(tenths / 10) % 60)}.${tenths % 10}`;
  const minutes = Math.floor(tenths / 600);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${rest}`;
};

function seek(seconds) {
  const video = player();
  if (!video) return;
  video.pause();
  video.currentTime = seconds;
  video.scrollIntoView({ block: "nearest" });
}

function frame(value, time, index) {
  const [width, height] = value.cell;
  const image = make("span", { class: "frame" });
  Object.assign(image.style, {
    width: `${width}px`, height: `${height}px`,
    backgroundImage: `url("${fileUrl(value.sheet)}")`, backgroundPosition: `-${index * width}px 0`,
  });
  const label = fill(words.frame, { time: clock(time) });
  return make("li", {}, make("button", { type: "button", "aria-label": label, onclick: () => seek(time) },
    image, make("span", { class: "time" }, clock(time))));
}

function update() {
  const value = props.value ?? {};
  const times = value.times ?? [];
  empty.hidden = Boolean(times.length || value.problem);
  tell(problem, value);
  list.hidden = facts.hidden = !times.length;
  list.replaceChildren(...times.map((time, index) => frame(value, time, index)));
  if (!times.length) return;
  facts.textContent = [
    counted("summary", times.length, { frames: times.length, duration: value.duration, fps: value.fps }),
    value.seen?.[0] ? fill(words.size, { width: value.seen[0], height: value.seen[1] }) : "",
    value.tokens && value.context ? fill(words.tokens, { tokens: number(value.tokens), share: percent(value.tokens / value.context) }) : "",
  ].filter(Boolean).join(" · ");
}

// Which frame the player stands at: the last one that is not later.
function follow(event) {
  if (event.target !== player()) return;
  const times = props.value?.times ?? [];
  const now = times.findLastIndex((time) => time <= event.target.currentTime + 0.05);
  [...list.children].forEach((item, index) => item.firstChild.classList.toggle("now", index === now));
}

document.addEventListener("clip-seek", (event) => seek(event.detail.seconds));
for (const name of ["timeupdate", "seeked"]) document.addEventListener(name, follow, true);
watch("value", update);
update();
