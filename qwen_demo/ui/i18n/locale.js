// Runs while the page is read, before Gradio and the views. The switch leaves its choice in the storage, and for the server in a cookie.

const known = Object.keys(words), key = "qwen-demo.language";
let chosen = new URLSearchParams(location.search).get("lang");
try {
  if (known.includes(chosen)) localStorage.setItem(key, chosen);
  else chosen = localStorage.getItem(key);
} catch {}
if (!known.includes(chosen)) chosen = known.find((name) => name !== "en" && navigator.language.toLowerCase().startsWith(name)) ?? null;
if (!chosen) return;
const language = words[chosen];
Object.defineProperty(navigator, "language", { get: () => language, configurable: true });
Object.defineProperty(navigator, "languages", { get: () => [language], configurable: true });
document.documentElement.lang = language;
// A Space stands in a frame of another site.
const scope = location.protocol === "https:" ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
document.cookie = `qwen-demo-language=${chosen}; path=/; max-age=31536000; ${scope}`;
