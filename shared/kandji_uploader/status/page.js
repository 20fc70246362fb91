"use strict";
(() => {
  const table = document.getElementById("macs");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows].map(row => ({
    row, text: row.textContent.toLowerCase(), app: row.dataset.app, status: row.dataset.status,
    keys: [...row.cells].map(cell => cell.dataset.key ?? cell.textContent)
  }));
  const field = name => document.getElementById(name);
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const filter = () => {
    const words = field("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [app, status] = [field("app").value, field("status").value];
    let shown = 0;
    for (const each of rows) {
      const fits = (!app || each.app === app) && (!status || each.status === status)
        && words.every(word => each.text.includes(word));
      each.row.hidden = !fits;
      shown += fits;
    }
    field("shown").value = `${shown} of ${rows.length} rows`;
  };
  const sort = (column, heading) => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort((one, two) => {
      const [a, b] = [one.keys[column], two.keys[column]];
      if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
      return collator.compare(a, b) * (up ? 1 : -1);
    });
    body.append(...rows.map(each => each.row));
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => sort(column, heading));
  });
  for (const name of ["text", "app", "status"]) field(name).addEventListener("input", filter);
  field("filters").hidden = false;
  addEventListener("pageshow", filter);  // also after a reload, which keeps what was typed
})();
