"use strict";
// Tables are sorted by a click, or by Enter or Space, on a head: numbers by value, words by the alphabet.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    if (body.rows.length && body.rows[0].cells[place].classList.contains("number")) head.classList.add("number");
    head.firstElementChild.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[place];
        return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim() || null;
      };
      const compare = (one, other) => {
        const a = key(one), b = key(other);
        if (a === null || b === null) return (a === null) - (b === null); // what is missing stands last
        const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
        return down ? -order : order;
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}

// A table that is wider than its card says so.
const measure = () => {
  for (const scroll of document.querySelectorAll(".scroll")) {
    scroll.parentElement.classList.toggle("wide", scroll.scrollWidth > scroll.clientWidth);
  }
};
measure();
addEventListener("resize", measure);
