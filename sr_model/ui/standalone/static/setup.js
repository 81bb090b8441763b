// What the page is made of, from index.html.
export const setup = JSON.parse(document.getElementById("sr-setup").textContent);
