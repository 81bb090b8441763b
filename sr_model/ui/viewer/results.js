// Below the panes: the line, the numbers, the bar of the map's colours.
import { make } from "../parts/bus.js";
import { said } from "../words/said.js";
import { pointed, t } from "../words/words.js";
import { titleOf } from "./panes.js";

function row({ title, cells }) {
  const line = make("tr");
  const head = make("th", "", titleOf(title));
  head.scope = "row";
  line.append(head, ...cells.map((cell) => make("td", cell.best ? "sr-best" : "", pointed(said(cell.text)))));
  return line;
}

const part = (each) => (each.endsWith(" s") ? pointed(each) : said(each)); // of the line

function text(root, selector, content) {
  const node = root.querySelector(selector);
  node.textContent = content || "";
  node.hidden = !content;
}

export function showNumbers(root, value) {
  const rows = (value && value.scores) || [];
  const columns = (value && value.columns) || [];
  text(root, ".sr-note", value && value.note ? t(value.note) : "");
  text(root, ".sr-line", value && value.line.split(" · ").map(part).join(" · "));
  const head = make("tr");
  for (const key of rows.length ? ["method", ...columns] : []) {
    const cell = make("th", "", t(`column_${key}`));
    cell.scope = "col";
    head.append(cell);
  }
  root.querySelector(".sr-scores thead").replaceChildren(head);
  root.querySelector(".sr-scores tbody").replaceChildren(...rows.map(row));
  root.querySelector(".sr-scores").hidden = !rows.length;
  const details = root.querySelector(".sr-definition");
  details.hidden = !rows.length;
  details.querySelector("p").textContent = t(columns.includes("agreement") ? "definition_agreement" : "definition");
}

// From no difference to the largest that the colours tell apart, if a map is shown.
export function showBar(root, bar, stops) {
  const legend = root.querySelector(".sr-bar-legend");
  legend.hidden = !bar;
  if (!bar) return;
  legend.querySelector(".sr-bar-title").textContent = t(`map_${bar.kind}_title`);
  legend.querySelector(".sr-bar-colours").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  const [low, middle, high] = legend.querySelectorAll(".sr-bar-ticks span");
  low.textContent = "0";
  middle.textContent = String(Math.round(bar.top / 2));
  high.textContent = `≥ ${bar.top}`;
}
