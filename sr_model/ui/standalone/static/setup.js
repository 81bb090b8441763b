// What the page is made of, from index.html; and the words where `words.js` looks for them.
export const setup = JSON.parse(document.getElementById("sr-setup").textContent);
window.gradio_config = { i18n_translations: setup.words };
