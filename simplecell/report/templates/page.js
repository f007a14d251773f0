// The page is whole without this: a button for dark and light, the contents' mark, and paper.
const root = document.documentElement;

function remembered() {
  try {
    return localStorage.getItem("simplecell-theme") || "";
  } catch {
    return ""; // a page opened as a file may have no storage
  }
}

function remember(theme) {
  try {
    localStorage.setItem("simplecell-theme", theme);
  } catch {
    // then it lasts as long as the page is open
  }
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const button = document.createElement("button");
button.className = "theme";
button.type = "button";

function shown() {
  return root.dataset.theme || (dark.matches ? "dark" : "light");
}

function label() {
  button.textContent = shown() === "dark" ? "Light" : "Dark";
  button.setAttribute("aria-label", `Show the page ${shown() === "dark" ? "light" : "dark"}`);
}

if (remembered()) root.dataset.theme = remembered();
button.addEventListener("click", () => {
  const theme = shown() === "dark" ? "light" : "dark";
  root.dataset.theme = theme;
  remember(theme);
  label();
});
dark.addEventListener("change", label);
label();
document.querySelector(".top").append(button);

// The section that is being read is marked in the contents.
const links = new Map(
  [...document.querySelectorAll("nav a")].map((link) => [link.getAttribute("href").slice(1), link]),
);
const inView = new Set();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) inView.add(entry.target.id);
      else inView.delete(entry.target.id);
    }
    const read = [...links.keys()].findLast((id) => inView.has(id));
    for (const [id, link] of links) {
      if (id === read) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  },
  { rootMargin: "0px 0px -60% 0px" },
);
for (const id of links.keys()) watcher.observe(document.getElementById(id));

// Paper cannot be opened: what is folded is printed too.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
});
