// The page's words in what is made by Gradio's own components, and what else begins with the page.
import { followAddress } from "../controls/address.js";
import { inWords } from "./said.js";
import { t, translate } from "./words.js";

const PROGRAM = ["program", "program_python", "program_javascript", "program_curl"];
const WEIGHTS = ["weights", "weights_1", "weights_2", "weights_3"];
const update = (values) => ({ __type__: "update", ...values });

// The main button says what it does in the task that is chosen.
export const nameRun = (mode) => update({ value: t(mode.chosen === "enlarge" ? "run" : "run_compare") });

// When the page has been loaded: values of the buttons, of how programs use the page, and of the table of weights.
// `address` is the one that people use.
export function begin(address, mode, program, weights) {
  for (const node of document.querySelectorAll("#sr-head, #sr-examples-head, #sr-about")) translate(node);
  followAddress();
  const example = inWords(program, PROGRAM).replaceAll("https://...", address);
  return [nameRun(mode), update({ value: t("cancel") }), example, inWords(weights, WEIGHTS)];
}
