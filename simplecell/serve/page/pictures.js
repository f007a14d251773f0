// Ways in for pictures that exist already: dropped, pasted, chosen, photographed.
import { found } from "./dom.js";

/** @param {(files: File[], photographed: boolean) => void} given */
export function startPictures(given) {
  const complain = (sentence) => (found("drop-fault").textContent = sentence);
  const give = (files, photographed) => {
    complain("");
    given(files, photographed);
  };
  for (const name of ["files", "camera"]) {
    const input = found(name);
    input.addEventListener("change", () => {
      if (input.files.length) give([...input.files], name === "camera");
      input.value = ""; // so that the same file can be chosen again
    });
  }

  const drop = found("drop");
  let within = 0; // elements of the page that the dragged picture has entered and not left
  const mark = (entered) => {
    within = entered;
    drop.classList.toggle("over", within > 0);
  };
  const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => files(event) && mark(within + 1));
  addEventListener("dragleave", (event) => files(event) && mark(within - 1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault(); // or the browser would leave the page for the picture
    mark(0);
    const dropped = [...(event.dataTransfer?.files ?? [])];
    if (dropped.length) give(dropped, false);
    else complain("That was no file. Save the picture first, then drop the file or choose it.");
  });

  addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (pasted.length) give(pasted, false);
    else if (!event.target.closest?.("input")) complain("There is no picture on the clipboard.");
  });
}
