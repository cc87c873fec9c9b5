// Sorts, searches and filters the table of queries, opens the query that a bar or a dot leads to,
// and copies plans. Without it everything can be read.
"use strict";

function sortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const numeric = heading.classList.contains("number");
    const key = (body) => {
      const cell = body.rows[0].cells[column];
      return numeric ? cell.dataset.value : cell.textContent;
    };
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const bodies = [...table.tBodies];
      bodies.sort((one, other) => {
        const a = key(one), b = key(other);
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = numeric ? Number(a) - Number(b) : a.localeCompare(b);
        return down ? -order : order;
      });
      table.append(...bodies);
    });
  });
}

// Shows the rows that have the chosen mark, and all words of the search in their cells, SQL or
// pushes. Unclear rows are folded by default; a search finds them, too.
function filterable(table, form, unfold) {
  const search = form.querySelector("input"), select = form.querySelector("select");
  const output = form.querySelector("output"), bodies = [...table.tBodies];
  const texts = bodies.map((body) =>
    [body.rows[0], ...body.querySelectorAll("pre, li")]
      .map((part) => part.textContent).join(" ").toLowerCase());
  const folded = (choice) => choice.startsWith("-");
  function show() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const choice = words.length && folded(select.value) ? "" : select.value;
    let shown = 0;
    bodies.forEach((body, place) => {
      const marks = body.dataset.marks.split(" ");
      const chosen = folded(choice) ? !marks.includes(choice.slice(1))
        : choice === "" || marks.includes(choice);
      const visible = chosen && words.every((word) => texts[place].includes(word));
      body.hidden = !visible;
      shown += visible;
    });
    output.textContent = `${shown} of ${bodies.length} queries`;
    unfold.hidden = !folded(choice);
    unfold.textContent = `Show ${bodies.length - shown} unclear queries`;
  }
  function showAll() {
    search.value = "";
    select.value = "";
    show();
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", show);
  select.addEventListener("change", show);
  unfold.addEventListener("click", () => {
    showAll();
    select.focus();
  });
  form.hidden = false;
  show();
  return showAll;
}

function openTarget(showAll) {
  const target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
  if (target === null) return;
  if (target.hidden) showAll();
  const details = target.querySelector("details");
  if (details !== null) details.open = true;
  target.scrollIntoView();
}

// A page from a file may have no clipboard; then the text is selected and copied.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

for (const table of document.querySelectorAll("table.sortable")) {
  sortable(table);
  const form = document.querySelector("form.filter");
  const showAll = filterable(table, form, document.querySelector("button.unfold"));
  addEventListener("hashchange", () => openTarget(showAll));
  openTarget(showAll);
}
for (const button of document.querySelectorAll("button.copy")) {
  const words = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const plan = JSON.parse(button.nextElementSibling.textContent);
    const done = await copy(JSON.stringify(plan, null, 2));
    button.textContent = done ? "Copied" : "The browser does not allow it";
    button.focus();
    setTimeout(() => { button.textContent = words; }, 2000);
  });
}
