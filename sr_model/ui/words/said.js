// What the server says in English, in the visitor's language. As with gettext, the English text itself is what it is
// found by; where it has gaps, those of a key that begins with "said_". What is not found stays English.
import { chosen, english, known, language, pointed, t } from "./words.js";

const GAP = /\{(\w+)\}/g;
const exact = new Map(Object.entries(english).reverse().map(([key, text]) => [text, key]));

function pattern([key, text]) {
  const literal = text.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return [key, new RegExp(`^${literal.replace(GAP, "(?<$1>.+?)")}$`, "s")];
}
const patterns = Object.entries(english)
  .filter(([key, text]) => key.startsWith("said_") && text.includes("{"))
  .map(pattern);

const filled = (text) => (/^\d+\.\d+$/.test(text) ? pointed(text) : said(text));

// A number and what is counted stay on one line: 8-bit.
const together = (text) => text.replace(/(\d)-(?=\p{L})/gu, "$1\u2011");

export function said(text) {
  if (!text || language === "en") return together(text || "");
  if (exact.has(text)) return t(exact.get(text));
  for (const [key, form] of patterns) {
    const found = form.exec(text);
    if (found) return chosen[key].replace(GAP, (_, name) => filled(found.groups[name]));
  }
  return text.replace(/^(.+?) (?=\d[\d.]*x\b)/, (_, title) => `${said(title)} `); // a network and its scale: Fine 2x
}

// Of a key, or of what the server says.
export const worded = (text, values) => (known(text) ? t(text, values) : said(text));

// The texts of a page in which English ones of these keys stand.
export const inWords = (text, keys) => keys.reduce((all, key) => all.replace(english[key], () => t(key)), text);
