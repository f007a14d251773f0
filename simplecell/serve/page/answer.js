// A prediction as a reader sees it. What a task answers is known by the keys of its JSON alone.
import { counted, make, words } from "./dom.js";

const SHOWN_ELSEWHERE = new Set(["path", "class", "score", "top", "shown", "caption", "boxes"]);
const SMALL = 64; // pixels: up to here a picture's own pixels are what there is to see

/** A card for a picture that is asked about. */
export function waitingCard(picture) {
  const told = make("div", { class: "words" }, label(picture), make("p", { class: "waiting" }, "Asking the net …"));
  return make("article", { class: "card" }, told, pictures(picture));
}

/**
 * A card with a sentence in the place of an answer.
 * @param {() => void} [again] where asking again may help
 */
export function refusedCard(picture, sentence, again) {
  const told = make("div", { class: "words" }, label(picture), make("p", { class: "fault" }, sentence));
  if (again) {
    const button = make("button", { type: "button", class: "button" }, "Ask again");
    button.addEventListener("click", again);
    told.append(button);
  }
  return make("article", { class: "card" }, told, pictures(picture));
}

/** A card with an answer: its name large, its bars, its values, and the pictures that belong to it. */
export function answerCard(picture, prediction) {
  const boxes = prediction.boxes ?? [];
  const told = make("div", { class: "words" }, label(picture), ...headline(prediction));
  const listed = prediction.top ?? boxes;
  if (listed.length) told.append(bars(listed));
  const values = scalars(prediction);
  if (values.length > (largest(prediction) ? 0 : 1)) told.append(pairs(values));
  return make("article", { class: "card" }, told, pictures(picture, boxes, prediction.shown ?? []));
}

/** The answer as a sentence to be read out. */
export function spoken(prediction) {
  return largest(prediction) ?? scalars(prediction).map(([name, value]) => `${words(name)} ${value}`).join(", ");
}

/** A score, 0 to 1, in percent; what is nearly certain or nearly impossible does not look entirely so. */
export function percent(score) {
  if (score > 0.9995 && score < 1) return "> 99.9 %";
  if (score > 0 && score < 0.0005) return "< 0.1 %";
  return `${(100 * score).toFixed(1)} %`;
}

function largest(prediction) {
  const { class: name, score, caption, boxes } = prediction;
  if (name === null) return "No class: no score is high enough";
  if (name !== undefined) return score === undefined ? name : `${name}, ${percent(score)}`;
  if (caption !== undefined) return caption;
  return boxes && (boxes.length ? `${boxes.length} found` : "Nothing found");
}

function headline(prediction) {
  const { class: name, score, caption, boxes } = prediction;
  if (name === null) {
    const why = score === undefined ? "" : ` The best, ${percent(score)}, is lower than what was asked for.`;
    return [make("h3", { class: "name" }, "No class"), make("p", { class: "why" }, `No score is high enough.${why}`)];
  }
  if (name !== undefined) {
    const size = name.length > 14 ? "name long" : "name";
    const line = make("div", { class: "hero" }, make("h3", { class: size }, make("bdi", {}, name)));
    if (score !== undefined) line.append(make("p", { class: "score" }, percent(score)));
    return [line];
  }
  if (caption !== undefined) return [make("h3", { class: "name long" }, make("bdi", {}, caption))];
  if (boxes) return [make("h3", { class: "name long" }, largest(prediction))];
  const [only, ...others] = scalars(prediction);
  if (!only || others.length) return [];
  return [make("h3", { class: "name" }, only[1]), make("p", { class: "why" }, words(only[0]))];
}

function bars(listed) {
  const rows = listed.map(({ class: name, score }) => {
    const bar = make("span", { class: "bar" });
    bar.style.setProperty("--share", Math.min(1, Math.max(0, score)));
    return make("li", {}, make("bdi", {}, name), make("span", { class: "number" }, percent(score)), bar);
  });
  return make("ol", { class: "bars" }, ...rows);
}

function scalars(prediction) {
  return Object.entries(prediction)
    .filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && ["number", "string", "boolean"].includes(typeof value))
    .map(([name, value]) => [name, spelt(value)]);
}

function spelt(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? value.toLocaleString("en", { maximumSignificantDigits: 6 }) : value;
}

function pairs(values) {
  const rows = values.map(([name, value]) =>
    make("div", {}, make("dt", {}, words(name)), make("dd", {}, make("bdi", {}, value))),
  );
  return make("dl", { class: "pairs" }, ...rows);
}

const label = (picture) => make("p", { class: "quiet file" }, make("bdi", {}, picture.name));

function pictures(picture, boxes = [], shown = []) {
  const sent = image(picture.address, `The picture sent: ${picture.name}`);
  const frame = make("div", { class: "frame" }, sent);
  const figure = make("figure", {}, frame, make("figcaption", {}, "the picture sent"));
  sent.addEventListener("load", () => frame.append(...boxes.map((box) => drawnBox(box, sent))));
  sent.addEventListener("error", () => frame.replaceWith(make("p", { class: "blind" }, "This browser cannot show it.")));
  const others = shown.map(({ caption, picture: address }) =>
    make("figure", {}, image(address, caption), make("figcaption", {}, caption)),
  );
  return make("div", { class: "pictures" }, figure, ...others);
}

function image(address, alt) {
  const made = make("img", { src: address, alt });
  made.addEventListener("load", () => {
    made.classList.toggle("pixels", Math.max(made.naturalWidth, made.naturalHeight) <= SMALL);
  });
  return made;
}

/** A box over the picture, by shares of its sides, so that it stays right at every width. */
function drawnBox({ box: [left, top, right, bottom], class: name, score }, { naturalWidth, naturalHeight }) {
  const words = score === undefined ? name : `${name} ${percent(score)}`;
  // The list of bars has the same words for who does not see.
  const drawn = make("span", { class: "box", "aria-hidden": "true" }, make("span", {}, words));
  drawn.style.left = `${(100 * left) / naturalWidth}%`;
  drawn.style.top = `${(100 * top) / naturalHeight}%`;
  drawn.style.width = `${(100 * (right - left)) / naturalWidth}%`;
  drawn.style.height = `${(100 * (bottom - top)) / naturalHeight}%`;
  return drawn;
}

/** What a model can tell, for as long as nothing was asked. */
export function knownClasses(classes) {
  const [first, rest] = [classes.slice(0, 24), classes.slice(24)];
  const list = (names) => make("ul", { class: "classes" }, ...names.map((n) => make("li", {}, make("bdi", {}, n))));
  const told = [make("p", { class: "quiet" }, "It tells these apart:"), list(first)];
  if (rest.length) {
    told.push(make("details", {}, make("summary", {}, `and ${counted(rest.length, "more", "more")}`), list(rest)));
  }
  return told;
}
