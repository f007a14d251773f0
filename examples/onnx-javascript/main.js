// A photo in, the likeliest classes out. Nothing is sent anywhere: the net runs in this page.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { metadata } from "./metadata.js";

ort.env.wasm.numThreads = 1; // more need a server that sends COOP and COEP headers

const file = await fetch("net.onnx");
if (!file.ok) throw new Error("there is no net.onnx beside this page: export one first");
const model = new Uint8Array(await file.arrayBuffer());
const classes = JSON.parse(metadata(model).classes);
const net = await ort.InferenceSession.create(model, { logSeverityLevel: 3 }); // errors: it warns of its own tidying

/** The photo as the net takes it: uint8, 1, H, W, 3, RGB. Its size is as it is: the net fits it itself. */
async function pixels(photo) {
  const picture = await createImageBitmap(photo, { colorSpaceConversion: "none" });
  const { width, height } = picture;
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(picture, 0, 0);
  const rgba = pen.getImageData(0, 0, width, height).data;
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from];
    rgb[to++] = rgba[from + 1];
    rgb[to++] = rgba[from + 2];
  }
  return new ort.Tensor("uint8", rgb, [1, height, width, 3]);
}

/** Every class with its probability, the likeliest first. */
export async function answer(photo) {
  const { scores } = await net.run({ picture: await pixels(photo) });
  return classes.map((name, k) => ({ name, score: scores.data[k] })).sort((a, b) => b.score - a.score);
}

const input = document.getElementById("photo");
const told = document.getElementById("told");
input.addEventListener("change", async () => {
  const answers = await answer(input.files[0]);
  const lines = answers.slice(0, 5).map(({ name, score }) => {
    const line = document.createElement("li");
    line.textContent = `${name}: ${(100 * score).toFixed(1)} %`;
    return line;
  });
  document.getElementById("answer").replaceChildren(...lines);
  told.textContent = `${answers[0].name} it is, most likely.`;
});
input.disabled = false;
told.textContent = `The net tells ${classes.length} classes apart.`;
