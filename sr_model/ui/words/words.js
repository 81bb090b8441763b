// The page's words in the visitor's language: of the browser's languages the first that the page has.
const LANGUAGES = ["en", "de", "es", "fr", "zh", "ja"]; // each has a file beside this one
const TAGS = { zh: "zh-Hans" };

const wanted = (navigator.languages || [navigator.language]).map((tag) => tag.split("-")[0]);
export const language = wanted.find((each) => LANGUAGES.includes(each)) || "en";
document.documentElement.lang = TAGS[language] || language;

const read = async (name) => (await fetch(new URL(`./${name}.json`, import.meta.url))).json();
const [first, own] = await Promise.all([read("en"), language === "en" ? null : read(language)]);
export const english = first;
export const chosen = own || first;

// The sentence of a key with {name}s filled in; what is no key stands for itself.
export function t(key, values = {}) {
  const sentence = chosen[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const known = (key) => key in english;

// Fill the elements that name a word: data-word is their text, data-label what screen readers say.
export function translate(root) {
  for (const node of root.querySelectorAll("[data-word]")) {
    node.textContent = t(node.dataset.word, JSON.parse(node.dataset.values || "{}"));
  }
  for (const node of root.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
}

// A number with the visitor's decimal sign.
export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);

// Numbers in a text that was written with points.
export const pointed = (text) =>
  text.replace(/\d+\.\d+/g, (written) => number(Number(written), written.split(".")[1].length));
