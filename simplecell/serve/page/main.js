// The page: which models there are, what is asked of them, and where the answers go.
import { answerCard, knownClasses, refusedCard, spoken, waitingCard } from "./answer.js";
import { counted, found, make } from "./dom.js";
import { chosenOptions, showOptions } from "./options.js";
import { startPad } from "./pad.js";
import { startPictures } from "./pictures.js";
import { models, predict, Refused, useToken } from "./server.js";

const AT_ONCE = 4; // requests under way: the server gathers them into a batch
const TRIES = 4; // how often a server that is too busy is asked
const PATIENCE = 250; // ms during which the last answer stays, so that a quick one does not flicker
const DIGITS = "0123456789";

let known = []; // the server's models
let model = null; // the one that is asked
let asked = []; // pictures: {name, file, address, ink}
let questions = new AbortController();

const announce = (sentence) => (found("status").textContent = sentence);
const readsDigits = () => model.classes?.join("") === DIGITS && model.classes.length === DIGITS.length;
const readsInk = () => readsDigits() && "ink" in model.options;

// ---- the models

async function start() {
  found("notice").hidden = true;
  try {
    known = await models();
    if (!known.length) throw new Refused("The server holds no net yet.");
  } catch (error) {
    return fail(error);
  }
  found("token-form").hidden = true;
  found("work").hidden = false;
  found("model").replaceChildren(...known.map(({ name }) => make("option", { value: name }, name)));
  found("chooser").hidden = known.length < 2;
  choose(known.find(({ name }) => name === model?.name) ?? known[0]);
}

/** What keeps the page from work: a sentence, or the question for the token. */
function fail(error) {
  if (!(error instanceof Refused)) throw error;
  if (error.status === 401) return askToken();
  found("notice-text").textContent = error.message;
  found("notice").hidden = false;
}

function askToken() {
  const again = !found("token-form").hidden;
  found("token-form").hidden = false;
  found("docs").hidden = true; // a link brings no token
  found("work").hidden = true;
  found("token-fault").textContent = again ? "The server does not take this token." : "";
  found("token").select();
  found("token").focus();
}

function choose(chosen) {
  model = chosen;
  found("model").value = model.name;
  const { name, task, classes, fingerprint, options } = model;
  document.title = `${name} · simplecell`;
  found("kind").textContent = `simplecell · ${task}`;
  found("title").textContent = name;
  const facts = [classes && counted(classes.length, "class", "classes"), fingerprint && `file ${fingerprint.slice(0, 8)}`];
  found("about").textContent = facts.filter(Boolean).join(" · ");
  found("pad").hidden = !readsDigits();
  found("drop").classList.toggle("short", readsDigits());
  found("empty").replaceChildren(make("p", { class: "lead" }, "The answer comes here."), ...(classes ? knownClasses(classes) : []));
  showOptions(options);
  // Whoever photographs a digit for a net that can be told of ink must find where.
  found("options").open = readsInk();
  ask();
}

// ---- the pictures

function take(files, ink) {
  for (const { address } of asked) URL.revokeObjectURL(address);
  asked = files.map((file) => ({ name: file.name || "picture", file, ink, address: URL.createObjectURL(file) }));
  ask();
}

/** Ask the model about every picture; what was under way is given up. */
async function ask() {
  questions.abort();
  if (!model) return; // pictures that are quicker than the list of models wait for it
  questions = new AbortController();
  const { signal } = questions;
  const options = chosenOptions(model.options);
  if (!options) return;
  announce(""); // so that an answer equal to the last one is read out again
  const cards = asked.map(waitingCard);
  let shown = false;
  const show = () => {
    if (shown || signal.aborted) return;
    shown = true;
    found("answers").replaceChildren(...cards);
    found("answers").classList.toggle("many", cards.length > 1);
    found("empty").hidden = cards.length > 0;
  };
  const settle = (k, card) => {
    if (signal.aborted) return;
    if (shown) cards[k].replaceWith(card);
    cards[k] = card;
    show();
  };
  const timer = setTimeout(show, cards.length ? PATIENCE : 0);

  const next = asked.entries();
  const sentences = [];
  let open = asked.length;
  const tellProgress = () => {
    found("progress").hidden = asked.length < 2;
    found("progress").textContent = open ? `${asked.length - open} of ${asked.length} answered` : `${asked.length} pictures`;
  };
  tellProgress();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const [k, picture] of next) {
        sentences.push(await answer(k, picture, options, signal, settle));
        if (signal.aborted) return;
        open -= 1;
        tellProgress();
      }
    }),
  );
  clearTimeout(timer);
  if (signal.aborted) return;
  show();
  if (sentences.length === 1) announce(sentences[0]);
  else if (sentences.length) announce(`${sentences.length} pictures were answered.`);
  // The name alone: on a phone the pad stays in sight.
  found("answers").querySelector("h3, .fault")?.scrollIntoView({ block: "nearest" });
}

/** Settle the card of one picture, and give the sentence that tells it. */
async function answer(k, picture, options, signal, settle) {
  const inked = picture.ink && readsInk() ? { ...options, ink: "true" } : options;
  for (let tried = 1; ; tried++) {
    try {
      const prediction = await predict(model, picture.file, inked, signal);
      settle(k, answerCard(picture, prediction));
      return spoken(prediction);
    } catch (error) {
      if (signal.aborted) return "";
      if (!(error instanceof Refused)) throw error;
      if (error.status === 401) askToken();
      if (error.status !== 503 || tried === TRIES) {
        const helps = [0, 408, 500, 503, 504].includes(error.status);
        settle(k, refusedCard(picture, error.message, helps ? ask : undefined));
        return error.message;
      }
      settle(k, refusedCard(picture, `${error.message} It is asked again in ${error.after} s.`));
      await rest(error.after, signal);
      if (signal.aborted) return "";
    }
  }
}

function rest(seconds, signal) {
  return new Promise((done) => {
    setTimeout(done, 1000 * seconds);
    signal.addEventListener("abort", done);
  });
}

// ---- what the reader does

found("again").addEventListener("click", start);
found("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(found("token").value);
  start();
});
found("model").addEventListener("change", () => choose(known.find(({ name }) => name === found("model").value)));
found("fields").addEventListener("change", ask);
found("fields").addEventListener("submit", (event) => event.preventDefault());

const empty = startPad(
  (file) => take([file], true),
  () => take([], false),
  announce,
);
startPictures((files, photographed) => {
  empty();
  take(files, photographed);
});
start();
