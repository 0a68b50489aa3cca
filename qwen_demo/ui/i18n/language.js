// Switches between the languages; the page is drawn anew.

const root = element.querySelector(".language");
const menu = make("select", { "aria-label": words.title, title: words.title, onchange: () => change(menu.value) },
  ...Object.entries(props.value).map(([locale, name]) =>
    make("option", { value: locale, lang: locale, selected: locale === language.slice(0, 2) }, name)));

function change(chosen) {
  const url = new URL(location.href);
  url.searchParams.set("lang", chosen);
  location.assign(url);
}

root.append(menu);
