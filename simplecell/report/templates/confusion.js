// A number of the matrix, or a line of the list, shows its pictures in the panel below.
const data = JSON.parse(document.getElementById("confusion-pictures").textContent);
const panel = document.getElementById("confusion-panel");
const status = document.getElementById("confusion-status");
const section = document.getElementById("confusion");
const buttons = [...section.querySelectorAll("button[data-cell]")];
const hint = status.textContent;
let chosen = null;

function make(name, text, className) {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function thumbnail([address, ...words]) {
  const figure = make("figure");
  const image = make("img");
  image.src = address;
  image.alt = words[words.length - 1];
  image.addEventListener("load", () => {
    if (Math.max(image.naturalWidth, image.naturalHeight) <= 64) image.className = "pixels";
  });
  const caption = make("figcaption");
  words.forEach((line, k) => caption.append(...(k ? [make("br"), line] : [line])));
  figure.append(image, caption);
  return figure;
}

function show(button) {
  const cell = data[button.dataset.cell];
  for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
  chosen = button;
  const bar = make("div", "", "bar");
  const close = make("button", "Close", "close");
  close.type = "button";
  close.addEventListener("click", hide);
  bar.append(make("h3", cell.title), close);
  const pictures = make("div", "", "pictures");
  pictures.append(...cell.pictures.map(thumbnail));
  panel.replaceChildren(bar, pictures);
  panel.hidden = false;
  status.textContent = `${cell.title}. ${told(cell.pictures.length, cell.count)}`;
  panel.scrollIntoView({ block: "nearest" });
}

function told(shown, count) {
  if (shown === 0) return "The page has no room for its pictures.";
  return shown === count ? "Its pictures stand below." : `${shown} of its ${count} pictures stand below.`;
}

function hide() {
  panel.hidden = true;
  panel.replaceChildren();
  status.textContent = hint;
  if (chosen) {
    chosen.setAttribute("aria-pressed", "false");
    chosen.focus();
  }
  chosen = null;
}

for (const button of buttons) {
  button.addEventListener("click", () => (button === chosen ? hide() : show(button)));
}
section.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && chosen) hide();
});

// One stop for the tab key; within the matrix the arrow keys go to the next number in that direction.
const matrix = section.querySelector(".confusion tbody");
const inMatrix = matrix ? [...matrix.querySelectorAll("button")] : [];
function stopAt(button) {
  for (const other of inMatrix) other.tabIndex = other === button ? 0 : -1;
}
if (inMatrix.length) stopAt(inMatrix[0]);
const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
matrix?.addEventListener("keydown", (event) => {
  const step = steps[event.key];
  const cell = event.target.closest("td");
  if (!step || !cell) return;
  event.preventDefault();
  let row = cell.parentElement.rowIndex - 1;
  let column = cell.cellIndex;
  for (;;) {
    row += step[0];
    column += step[1];
    const next = matrix.rows[row]?.cells[column];
    if (!next || column < 1) return;
    const button = next.querySelector("button");
    if (button) {
      stopAt(button);
      button.focus();
      return;
    }
  }
});
matrix?.addEventListener("focusin", (event) => {
  if (event.target.matches("button")) stopAt(event.target);
});
