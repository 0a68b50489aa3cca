// Switches between English and Chinese; the page is drawn anew.

const root = element.querySelector(".language");
const other = language === "zh-CN" ? "en" : "zh";

function change() {
  const url = new URL(location.href);
  url.searchParams.set("lang", other);
  location.assign(url);
}

root.append(make("button", { type: "button", class: "quiet", lang: other, title: words.title, onclick: change }, words.other));
