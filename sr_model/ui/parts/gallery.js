const BUSY = ".sr-status[data-kind='working'], .sr-status[data-kind='waiting']";
const list = element.querySelector(".sr-gallery");

for (const example of props.value || []) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const picture = document.createElement("img");
  const title = document.createElement("span");
  const credit = document.createElement("span");
  button.type = "button";
  button.dataset.name = example.name;
  button.addEventListener("click", () => {
    if (!document.querySelector(BUSY)) trigger("select", { name: example.name });
  });
  picture.src = example.thumb;
  picture.alt = "";
  title.className = "sr-example-title";
  title.textContent = example.title;
  credit.className = "sr-example-credit";
  credit.textContent = example.credit;
  button.append(picture, title);
  item.append(button, credit);
  list.append(item);
}
