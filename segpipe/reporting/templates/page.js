const root = document.documentElement;

// Light and dark, as the system says until the reader says otherwise.
const theme = document.getElementById("theme");
let dark = matchMedia("(prefers-color-scheme: dark)").matches;
const kept = { get: () => { try { return localStorage.theme; } catch { return ""; } }, set: (name) => { try { localStorage.theme = name; } catch { /* a page from disk may not keep anything */ } } };
function paint() {
  theme.textContent = dark ? "Light" : "Dark";
  theme.setAttribute("aria-label", `Switch to the ${dark ? "light" : "dark"} theme`);
}
if (kept.get()) {
  dark = kept.get() === "dark";
  root.dataset.theme = kept.get();
}
paint();
theme.addEventListener("click", () => {
  dark = !dark;
  root.dataset.theme = dark ? "dark" : "light";
  kept.set(root.dataset.theme);
  paint();
});

// The leaderboards
const value = (row, column) => row.cells[column]?.dataset.value ?? "";
const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);

function sort(button) {
  const header = button.closest("th");
  // Names begin at A, numbers at the largest.
  const [first, second] = header.cellIndex ? ["descending", "ascending"] : ["ascending", "descending"];
  const direction = header.ariaSort === first ? second : first;
  const body = button.closest("table").tBodies[0];
  for (const other of header.parentNode.cells) other.ariaSort = "none";
  header.ariaSort = direction;
  const column = header.cellIndex;
  const sign = direction === "ascending" ? 1 : -1;
  // What has no value comes last, whichever way the rest is sorted.
  const ordered = [...body.rows].sort((one, two) => {
    const [a, b] = [value(one, column), value(two, column)];
    return (a === "") - (b === "") || sign * compare(a, b);
  });
  body.append(...ordered);
}

// Which experiments the charts of a set show, and which one stands out
function show(compared, name, is_shown) {
  compared.querySelector(`button[data-series="${CSS.escape(name)}"]`).ariaPressed = is_shown;
  for (const line of compared.querySelectorAll(`g[data-series="${CSS.escape(name)}"]`)) line.classList.toggle("off", !is_shown);
}
function showAll(button) {
  const compared = button.closest(".compared");
  const others = [...compared.querySelectorAll("button[data-series]")];
  const is_all = others.every((one) => one.ariaPressed === "true");
  others.forEach((one, rank) => show(compared, one.dataset.series, !is_all || rank < button.dataset.first));
  button.textContent = is_all ? "All" : `First ${button.dataset.first}`;
}
function point(compared, name) {
  compared.classList.toggle("pointing", name !== undefined);
  for (const line of compared.querySelectorAll("g[data-series]")) line.classList.toggle("pointed", line.dataset.series === name);
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  if (button.closest(".sortable")) sort(button);
  else if (button.matches(".all")) showAll(button);
  else if (button.dataset.series) show(button.closest(".compared"), button.dataset.series, button.ariaPressed !== "true");
});
for (const [begin, end] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  const named = (target) => target.closest?.("[data-series]");
  document.addEventListener(begin, ({ target }) => { if (named(target)) point(named(target).closest(".compared"), named(target).dataset.series); });
  document.addEventListener(end, ({ target }) => { if (named(target)) point(named(target).closest(".compared")); });
}

// Pictures
document.addEventListener("input", ({ target }) => {
  if (target.matches(".split")) target.parentNode.style.setProperty("--split", `${target.value}%`);
  if (target.matches(".opacity")) target.closest(".panels").style.setProperty("--opacity", target.value / 100);
});

// One section at a time: a link to something inside of another one shows that one. Searching the page finds them all.
const sections = [...document.querySelectorAll("main > section")];
function choose(section) {
  for (const one of sections) {
    if (one === section) one.removeAttribute("hidden");
    else one.setAttribute("hidden", "until-found");
  }
  for (const link of document.querySelectorAll(".links a")) {
    if (link.hash === `#${section.id}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const section = target?.closest("section") ?? sections[0];
  if (section) choose(section);
  if (target?.matches("details")) target.open = true;
  if (target?.closest("section")) target.scrollIntoView();
}
for (const section of sections) section.addEventListener("beforematch", () => choose(section));
addEventListener("hashchange", openTarget);
openTarget();
