// Elements are made here. Words from the server and from file names are text, never markup.

export const found = (id) => document.getElementById(id);

/** An element with attributes and children; strings among the children become text. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** A name as code spells it, as words. */
export const words = (name) => name.replaceAll("_", " ");

/** "1 class", "3 classes". */
export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
