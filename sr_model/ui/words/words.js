// The page's words in the visitor's language, from what Gradio holds for its own components (gr.I18n).
const all = (window.gradio_config || {}).i18n_translations || {};

function languageOf(wanted) {
  for (const tag of wanted) {
    for (const name of [tag, tag.split("-")[0]]) if (all[name]) return name;
  }
  return "en";
}

export const language = languageOf(navigator.languages || [navigator.language]);
const chosen = all[language] || {};
const english = all.en || {};

// The sentence of a key with {name}s filled in; what is no key stands for itself.
export function t(key, values = {}) {
  const sentence = chosen[key] ?? english[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const known = (key) => key in english;

// Fill the elements that name a word: data-word is their text, data-label what screen readers say.
export function translate(root) {
  for (const node of root.querySelectorAll("[data-word]")) node.textContent = t(node.dataset.word);
  for (const node of root.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
