// A field for each option of a model's answer, of the kind that its values are.
import { found, make, words } from "./dom.js";

/**
 * Put the fields of a model on the page.
 * @param {Record<string, {type: string, default: any, help: string, choices?: any[]}>} options
 */
export function showOptions(options) {
  found("fields").replaceChildren(...Object.entries(options).map(([name, option]) => field(name, option)));
  found("options").hidden = Object.keys(options).length === 0;
}

/** The options that were changed, as words of an address; null (and the reader is told) where one is wrong. */
export function chosenOptions(options) {
  const form = found("fields");
  if (!form.checkValidity()) {
    found("options").open = true;
    form.reportValidity();
    return null;
  }
  const chosen = {};
  for (const [name, option] of Object.entries(options)) {
    const input = form.elements.namedItem(name);
    const value = input.type === "checkbox" ? String(input.checked) : input.value.trim();
    if (value !== "" && value !== String(option.default)) chosen[name] = value;
  }
  return chosen;
}

function field(name, option) {
  const id = `option-${name}`;
  const given = { id, name, "aria-describedby": `${id}-help` };
  const label = make("label", { for: id }, words(name));
  const help = make("span", { id: `${id}-help`, class: "quiet" }, option.help);
  if (option.type === "bool") {
    const input = make("input", { ...given, type: "checkbox", checked: option.default });
    return make("p", { class: "field check" }, input, label, help);
  }
  return make("p", { class: "field" }, label, control(given, option), help);
}

function control(given, option) {
  if (option.type === "choice") {
    const choice = (value) => make("option", { value, selected: value === option.default }, String(value));
    return make("select", given, ...option.choices.map(choice));
  }
  const value = option.default ?? "";
  // What may be a number or a word ("auto") is text; whether it is right, the server tells.
  if (option.choices || !["int", "float"].includes(option.type)) return make("input", { ...given, type: "text", value });
  const bounds = { min: option.at_least ?? option.above, max: option.at_most };
  const whole = option.type === "int";
  const asked = { type: "number", step: whole ? 1 : "any", inputmode: whole ? "numeric" : "decimal" };
  return make("input", { ...given, ...asked, ...bounds, value });
}
