// Every two seconds the server is asked how far the run is; its curves are drawn there.
const status = document.getElementById("status");
const news = document.getElementById("news");
let seen = "";

async function ask() {
  let wait = 2000;
  try {
    const answer = await fetch("progress?" + new URLSearchParams({ seen }));
    const told = await answer.json();
    if (status.textContent !== told.status) status.textContent = told.status;
    if (told.html !== undefined) {
      const open = [...news.querySelectorAll("details")].map((details) => details.open);
      news.innerHTML = told.html;
      news.querySelectorAll("details").forEach((details, k) => (details.open = open[k] || false));
      seen = told.seen;
    }
    if (told.report) {
      document.getElementById("ready").hidden = false;
      return;
    }
  } catch {
    status.textContent = "The server does not answer; it may have been stopped.";
    wait = 10000;
  }
  setTimeout(ask, wait);
}
ask();
