// Sorts the table of queries by the column whose heading is pressed; without it, all can be read.
// Opens the query that a bar or a dot leads to.
"use strict";
addEventListener("hashchange", () => {
  const details = document.querySelector(":target details");
  if (details !== null) details.open = true;
});
for (const table of document.querySelectorAll("table.sortable")) {
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
