// The pad: digits are drawn by mouse, finger, pen or keys, as dark ink on paper.
import { found } from "./dom.js";

const SENT = 280; // pixels of a side of the picture that is sent: ten times MNIST's
const NIB = 0.075; // of the side: with a digit over three quarters of the pad, as thick as MNIST's strokes
const STEP = 1 / 24; // of the side: how far an arrow key moves the pen
const PAUSE = 450; // ms without a stroke after which the digit counts as drawn
const INK = "#1b1d22";
const PAPER = "#fdfcf8"; // in the dark too: it is paper

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Bring the pad to life.
 * @param {(file: File) => void} drawn is given the drawing as a PNG, when the pen has rested
 * @param {() => void} cleared
 * @param {(sentence: string) => void} announce
 * @returns {() => void} empties the pad without telling anybody
 */
export function startPad(drawn, cleared, announce) {
  const canvas = found("canvas");
  const undo = found("undo");
  const clear = found("clear");
  let strokes = []; // each a list of points [x, y], 0 to 1
  let stroke = null; // the one that is being drawn
  let keys = null; // where the pen of the keys is; null until they are used
  const held = new Set(); // arrow keys: two at once go aslant
  let resting;

  function refresh() {
    paint(canvas, strokes);
    if (keys) cross(canvas, keys, stroke !== null);
    undo.disabled = clear.disabled = strokes.length === 0;
    found("pad-hint").hidden = strokes.length > 0 || keys !== null;
  }

  function begin(point) {
    clearTimeout(resting);
    stroke = [point];
    strokes.push(stroke);
    refresh();
  }

  function end() {
    stroke = null;
    refresh();
    changed(PAUSE);
  }

  function changed(pause) {
    clearTimeout(resting);
    if (strokes.length === 0) cleared();
    else resting = setTimeout(send, pause);
  }

  async function send() {
    clearTimeout(resting);
    if (strokes.length === 0) return;
    const picture = document.createElement("canvas");
    picture.width = picture.height = SENT;
    paint(picture, strokes);
    const png = await new Promise((done) => picture.toBlob(done, "image/png"));
    drawn(new File([png], "drawing.png", { type: "image/png" }));
  }

  function empty() {
    clearTimeout(resting);
    strokes = [];
    stroke = null;
    refresh();
  }

  function takeBack() {
    strokes.pop();
    stroke = null;
    refresh();
    changed(PAUSE);
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId);
    keys = null;
    begin(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || !canvas.hasPointerCapture(event.pointerId)) return;
    const between = event.getCoalescedEvents?.() ?? [];
    stroke.push(...(between.length ? between : [event]).map(place));
    refresh();
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      if (stroke && canvas.hasPointerCapture(event.pointerId)) end();
    });
  }

  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    const back = event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey));
    if (!arrow && !back && ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    if (back) return takeBack();
    keys ??= [0.5, 0.5];
    if (arrow) {
      held.add(event.key);
      const way = [0, 1].map((k) => [...held].reduce((sum, key) => sum + ARROWS[key][k], 0));
      keys = keys.map((value, k) => Math.min(1, Math.max(0, value + STEP * way[k])));
      stroke?.push(keys);
      refresh();
    } else if (event.key === " ") {
      if (stroke) end();
      else begin(keys);
      announce(stroke ? "Pen down" : "Pen up");
    } else {
      stroke = null;
      refresh();
      send();
    }
  });
  canvas.addEventListener("keyup", (event) => held.delete(event.key));
  canvas.addEventListener("blur", () => {
    held.clear();
    if (keys && stroke) end();
    keys = null;
    refresh();
  });

  undo.addEventListener("click", takeBack);
  clear.addEventListener("click", () => {
    empty();
    cleared();
    canvas.focus({ preventScroll: true });
  });
  refresh();
  return empty;
}

/** The strokes on paper, over the whole canvas; between points runs a curve, so that a quick hand is smooth. */
function paint(canvas, strokes) {
  const side = canvas.width;
  const pen = canvas.getContext("2d");
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, side, side);
  pen.strokeStyle = INK;
  pen.lineWidth = NIB * side;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of strokes) {
    const points = stroke.map(([x, y]) => [x * side, y * side]);
    pen.beginPath();
    pen.moveTo(...points[0]);
    for (let k = 1; k < points.length - 1; k++) {
      const [[x, y], [nextX, nextY]] = [points[k], points[k + 1]];
      pen.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    }
    pen.lineTo(...points.at(-1));
    pen.stroke();
  }
}

/** Where the pen of the keys is: a ring, filled while it draws. */
function cross(canvas, [x, y], down) {
  const side = canvas.width;
  const pen = canvas.getContext("2d");
  pen.beginPath();
  pen.arc(x * side, y * side, 0.03 * side, 0, 2 * Math.PI);
  pen.lineWidth = 0.01 * side;
  pen.strokeStyle = "#b4501e";
  pen.fillStyle = "#f5b48c";
  if (down) pen.fill();
  pen.stroke();
}
