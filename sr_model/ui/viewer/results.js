// Follows viewer.js: the panes, the line below them, and the table.
function make(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function pane({ title, width, height, file, name }) {
  const figure = make("figure", "sr-pane");
  const frame = make("div", "sr-window");
  const picture = make("img", "");
  const label = make("figcaption", "sr-label");
  const link = make("a", "sr-download", "Download PNG");
  picture.src = file.url;
  picture.width = width;
  picture.height = height;
  picture.alt = `${title}, ${width} by ${height} pixels`;
  picture.draggable = false;
  label.append(make("b", "", title), make("span", "sr-size", `${width}x${height}`));
  frame.append(picture, label);
  link.href = file.url;
  link.download = name;
  link.setAttribute("aria-label", `Download ${title} as PNG`);
  figure.append(frame, link);
  return figure;
}

function row({ title, psnr, ssim, psnr_best, ssim_best }) {
  const line = make("tr", "");
  const head = make("th", "", title);
  head.scope = "row";
  const cell = (text, best) => make("td", best ? "sr-best" : "", text);
  line.append(head, cell(psnr, psnr_best), cell(ssim, ssim_best));
  return line;
}

function text(selector, content) {
  const node = root.querySelector(selector);
  node.textContent = content || "";
  node.hidden = !content;
}

function render() {
  const value = props.value;
  const scores = (value && value.scores) || [];
  root.querySelector(".sr-empty").hidden = Boolean(value);
  root.querySelector(".sr-tools").hidden = !value;
  stage.hidden = !value;
  stage.replaceChildren(...(value ? value.panes.map(pane) : []));
  stage.dataset.panes = value ? value.panes.length : 0;
  text(".sr-note", value && value.note);
  text(".sr-line", value && value.line);
  root.querySelector(".sr-scores tbody").replaceChildren(...scores.map(row));
  root.querySelector(".sr-scores").hidden = !scores.length;
  text(".sr-definition", scores.length ? props.definition : "");
  if (!value) return;
  size = value.panes[0];
  // Pictures are compared at 100 % or more; at less, a difference of a pixel cannot be seen.
  const start = value.view || { zoom: 1, x: 0.5, y: 0.5 };
  view = { ...start, fit: false };
  if (!value.view && fitZoom() >= 1) view.fit = true;
  apply();
}

new ResizeObserver(apply).observe(stage);
watch("value", () => {
  render();
  const narrow = window.matchMedia("(max-width: 900px)").matches;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (narrow && props.value) root.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
});
render();
