const root = document.documentElement;
const theme = document.getElementById("theme");
let dark = matchMedia("(prefers-color-scheme: dark)").matches;
const nameTheme = () => { theme.textContent = dark ? "Light" : "Dark"; };
nameTheme();
theme.addEventListener("click", () => {
  dark = !dark;
  root.dataset.theme = dark ? "dark" : "light";
  nameTheme();
});

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
for (const button of document.querySelectorAll(".sortable thead button")) {
  button.addEventListener("click", () => sort(button));
}

document.addEventListener("input", ({ target }) => {
  if (target.matches(".split")) target.parentNode.style.setProperty("--split", `${target.value}%`);
  if (target.matches(".opacity")) target.closest(".panels").style.setProperty("--opacity", target.value / 100);
});

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.matches("details")) target.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
