"use strict";
(() => {
  const source = document.getElementById("rows");
  if (!source) return;
  const { apps, kinds, columns, rows } = JSON.parse(source.textContent);
  // A row as it stands in the page: [app, Mac, Blueprint, status, version, seconds since its report, that moment, in
  // words, reason].
  const [APP, MAC, BLUEPRINT, STATUS, VERSION, SECONDS, MOMENT, AGO, REASON] = columns.keys();
  const SORTED_BY = [MAC, APP, BLUEPRINT, STATUS, VERSION, SECONDS, REASON];
  const BATCH = 50;
  const field = name => document.getElementById(name);
  const table = field("macs");
  const body = table.tBodies[0];
  const end = field("end");
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const all = rows.map(row => ({
    row,
    text: [row[MAC], apps[row[APP]].name, row[BLUEPRINT], row[STATUS], row[VERSION], row[AGO], row[REASON]]
      .join(" ").toLowerCase()
  }));
  let shown = all;
  let made = 0;

  const cell = (name, text, ...before) => {
    const made = document.createElement("td");
    if (name) made.className = name;
    const inside = document.createElement("bdi");
    inside.textContent = text;
    made.append(...before, inside);
    return made;
  };
  const dot = status => {
    const made = document.createElement("span");
    made.className = `dot ${kinds[status] ?? "other"}`;
    return made;
  };
  const reported = row => {
    const made = document.createElement("td");
    made.className = "keep";
    const time = document.createElement(row[MOMENT] ? "time" : "span");
    if (row[MOMENT]) time.dateTime = row[MOMENT];
    time.textContent = row[AGO];
    made.append(time);
    return made;
  };
  const line = ({ row }) => {
    const made = document.createElement("tr");
    made.append(
      cell("name", row[MAC]), cell("", apps[row[APP]].name), cell("", row[BLUEPRINT]),
      cell("status", row[STATUS], dot(row[STATUS])), cell("", row[VERSION]), reported(row), cell("reason", row[REASON])
    );
    return made;
  };
  const more = (number = BATCH) => {
    body.append(...shown.slice(made, made + number).map(line));
    made = Math.min(made + number, shown.length);
  };
  const fill = () => {
    body.replaceChildren();
    made = 0;
    more();
    watch();
  };
  const watcher = new IntersectionObserver(seen => {
    if (!seen.some(each => each.isIntersecting) || made === shown.length) return;
    more();
    watch();
  }, { rootMargin: "800px" });
  const watch = () => {  // anew: it tells only what changes, and the end may still be in sight
    watcher.unobserve(end);
    watcher.observe(end);
  };

  const tell = app => {
    const chosen = app === "" ? apps : [apps[app]];
    const elsewhere = chosen.reduce((sum, each) => sum + each.left, 0);
    const left = app !== "" && elsewhere ? `; ${elsewhere.toLocaleString("en")} more Macs of this app are not in this page` : "";
    field("shown").value = `${shown.length} of ${all.length} rows${left}`;
  };
  const filter = () => {
    const words = field("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [app, status] = [field("app").value, field("status").value];
    shown = all.filter(({ row, text }) => (app === "" || row[APP] === Number(app))
      && (!status || row[STATUS] === status) && words.every(word => text.includes(word)));
    fill();
    tell(app);
  };
  const key = (row, column) => column === APP ? apps[row[APP]].name : row[column];
  const sort = (column, heading) => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    all.sort((one, two) => {
      const [a, b] = [key(one.row, column), key(two.row, column)];
      const [none, nothing] = [a === "" || a === null, b === "" || b === null];
      if (none || nothing) return none - nothing;
      return collator.compare(a, b) * (up ? 1 : -1);
    });
    filter();
  };
  [...table.tHead.rows[0].cells].forEach((heading, number) => {
    heading.querySelector("button").addEventListener("click", () => sort(SORTED_BY[number], heading));
  });
  for (const name of ["text", "app", "status"]) field(name).addEventListener("input", filter);
  field("filters").hidden = false;
  addEventListener("pageshow", filter);  // also after a reload, which keeps what was typed
  addEventListener("beforeprint", () => more(shown.length));
})();
