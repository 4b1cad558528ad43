// Services by libraries. Of thousands of rows, those in sight are there.

import { make, plural, sign, signName, wordOf } from "./dom.js";

const BEYOND = 8; // rows that are there above and below what is in sight
const ORDER = ["refused", "failed", "waiting", "held back", "updated, but", "rolled back", "updated", "current"];
const QUIET = new Set(["current", "updated", "rolled back"]);
const rank = (word) => Math.max(0, ORDER.indexOf(word));

export class Grid {
  constructor(root, open) {
    this.root = root;
    this.open = open;
    this.services = new Map();
    this.order = [];
    this.text = "";
    this.isAttention = false;
    this.keys = []; // of the rows that are shown, in order
    this.columns = [];
    this.drawn = new Map(); // key → element
    this.at = null; // {key, library}: where the keyboard is; library null is the row's name
    this.fresh = new Map(); // key → libraries that have just changed
    this.head = make("div", { class: "head", role: "row", "aria-rowindex": "1" });
    this.rows = make("div", { class: "rows", role: "rowgroup" });
    root.append(this.head, this.rows);
    root.addEventListener("scroll", () => this.draw(), { passive: true });
    addEventListener("resize", () => this.draw());
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("click", (event) => this.click(event));
    root.addEventListener("focusin", () => this.mark());
    root.addEventListener("focusout", () => setTimeout(() => this.mark())); // when it is known where the focus goes
  }

  get isEmpty() {
    return !this.keys.length;
  }

  /** Show what is known; `changed` are the keys of rows that have, null for all. */
  show(services, order, changed) {
    this.fresh = changed ? this.changes(services, changed) : new Map();
    this.services = new Map(services);
    this.order = order;
    this.arrange(changed);
  }

  changes(services, keys) {
    const found = new Map();
    for (const key of keys) {
      const [before, now] = [this.services.get(key), services.get(key)];
      if (before && now)
        found.set(key, new Set(Object.keys(now.cells).filter((it) => before.cells[it]?.[0] !== now.cells[it][0])));
    }
    return found;
  }

  filter(text, isAttention) {
    this.text = text.trim().toLowerCase();
    this.isAttention = isAttention;
    this.root.scrollTop = 0;
    this.arrange(null);
  }

  /** Which rows and columns there are, in which order. */
  arrange(changed) {
    const is = (name) => name.toLowerCase().includes(this.text);
    const columns = new Map(); // library → [worst rank, services]
    this.keys = this.order.filter((key) => {
      const row = this.services.get(key);
      if (!row) return false;
      const shown = Object.entries(row.cells).filter(
        ([name, [word]]) => (is(row.name) || is(name)) && !(this.isAttention && QUIET.has(word)),
      );
      for (const [name, [word]] of shown) {
        const it = columns.get(name) ?? [99, 0];
        columns.set(name, [Math.min(it[0], rank(word)), it[1] + 1]);
      }
      return shown.length > 0 || ((is(row.name) || !this.text) && (row.note || !this.isAttention));
    });
    const byNeed = (a, b) => a[1][0] - b[1][0] || b[1][1] - a[1][1] || (a[0] < b[0] ? -1 : 1);
    const names = [...columns].sort(byNeed).map(([name]) => name);
    const isOther = names.join("\n") !== this.columns.join("\n");
    this.columns = names;
    this.index = new Map(names.map((name, number) => [name, number]));
    if (isOther) this.drawHead();
    for (const [key, element] of this.drawn)
      if (isOther || !changed || changed.has(key) || !this.services.has(key)) this.drop(key, element);
    this.root.setAttribute("aria-rowcount", String(this.keys.length + 1));
    this.root.setAttribute("aria-colcount", String(names.length + 1));
    if (!this.at || !this.has(this.at)) this.at = this.keys.length ? { key: this.keys[0], library: this.librariesOf(this.keys[0])[0] ?? null } : null;
    this.draw();
  }

  drop(key, element) {
    this.hadFocus ||= element.contains(document.activeElement);
    element.remove();
    this.drawn.delete(key);
  }

  has({ key, library }) {
    return this.keys.includes(key) && (library === null || this.librariesOf(key).includes(library));
  }

  /** The libraries of a row that have a column, from left to right. */
  librariesOf(key) {
    return Object.keys(this.services.get(key).cells)
      .filter((name) => this.index.has(name))
      .sort((a, b) => this.index.get(a) - this.index.get(b));
  }

  drawHead() {
    this.root.style.setProperty("--count", String(this.columns.length));
    this.head.replaceChildren(
      make("div", { class: "corner", role: "columnheader", "aria-colindex": "1" }, "Service"),
      ...this.columns.map((name, number) =>
        make("div", { class: "column", role: "columnheader", "aria-colindex": String(number + 2), title: name }, name),
      ),
    );
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(this.root).getPropertyValue("--row"));
  }

  /** Have the rows in sight there, and that of the keyboard. */
  draw() {
    const height = this.rowHeight;
    this.rows.style.height = `${this.keys.length * height}px`;
    const first = Math.max(0, Math.floor(this.root.scrollTop / height) - BEYOND);
    const last = Math.min(this.keys.length, Math.ceil((this.root.scrollTop + this.root.clientHeight) / height) + BEYOND);
    const wanted = new Map();
    for (let number = first; number < last; number++) wanted.set(this.keys[number], number);
    if (this.at) wanted.set(this.at.key, this.keys.indexOf(this.at.key));
    for (const [key, element] of this.drawn) if (!wanted.has(key)) this.drop(key, element);
    for (const [key, number] of wanted) {
      let element = this.drawn.get(key);
      if (!element) {
        element = this.row(key);
        this.drawn.set(key, element);
        this.rows.append(element);
      }
      element.style.top = `${number * height}px`;
      element.setAttribute("aria-rowindex", String(number + 2));
    }
    this.fresh.clear();
    this.mark();
    if (this.hadFocus) this.elementAt()?.focus({ preventScroll: true });
    this.hadFocus = false;
  }

  row(key) {
    const row = this.services.get(key);
    const count = plural(row.processes, "process", "processes");
    const note = row.note ? `, not served: ${row.note}` : "";
    const name = make(
      "div",
      { class: "name", role: "rowheader", "aria-colindex": "1", tabindex: "-1", title: `${row.name}: ${count}${note}`, "aria-label": `${row.name}, ${count}${note}` },
      row.note ? sign("unknown") : null,
      make("span", { class: "text" }, row.name),
      make("span", { class: "number" }, String(row.processes)),
    );
    const cells = this.librariesOf(key).map((library) => this.cell(key, row, library));
    const element = make("div", { class: "row", role: "row" }, name, cells);
    element.key = key;
    name.library = null;
    return element;
  }

  cell(key, row, library) {
    const [word, count, total] = row.cells[library];
    const where = total === 1 ? "" : count === total ? ` in ${total} processes` : ` in ${count} of ${total} processes`;
    const said = `${library} in ${row.name}: ${wordOf(word)}${where}`;
    const isNew = this.fresh.get(key)?.has(library) ? " is-new" : "";
    const column = this.index.get(library) + 2;
    const it = make(
      "div",
      { class: `cell ${signName(word)}${isNew}`, role: "gridcell", tabindex: "-1", "aria-colindex": String(column), "aria-label": said, title: said },
      sign(signName(word)),
    );
    it.style.gridColumn = String(column);
    it.library = library;
    return it;
  }

  elementAt() {
    const row = this.at && this.drawn.get(this.at.key);
    return row ? [...row.children].find((it) => it.library === this.at.library) : null;
  }

  /** One cell can be reached by Tab, and its row and column are to be seen. */
  mark() {
    for (const it of this.root.querySelectorAll("[tabindex='0']")) it.tabIndex = -1;
    for (const it of this.root.querySelectorAll(".is-at")) it.classList.remove("is-at");
    const element = this.elementAt();
    if (!element) return;
    element.tabIndex = 0;
    if (!this.root.contains(document.activeElement)) return;
    element.parentElement.classList.add("is-at");
    if (this.at.library !== null) this.head.children[this.index.get(this.at.library) + 1]?.classList.add("is-at");
  }

  focus() {
    this.go(this.at);
  }

  go(at) {
    if (!at) return;
    this.at = at;
    const height = this.rowHeight;
    const top = this.keys.indexOf(at.key) * height;
    const seen = this.root.clientHeight - this.head.offsetHeight;
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    else if (top + height > this.root.scrollTop + seen) this.root.scrollTop = top + height - seen;
    this.draw();
    const element = this.elementAt();
    element?.focus({ preventScroll: true });
    element?.scrollIntoView({ block: "nearest", inline: "nearest" }); // past what sticks: see scroll-margin
    if (at.library === null) this.root.scrollLeft = 0;
    this.mark();
  }

  key(event) {
    if (!this.at || event.altKey || event.metaKey) return;
    const row = this.keys.indexOf(this.at.key);
    const across = [null, ...this.librariesOf(this.at.key)];
    const column = across.indexOf(this.at.library);
    const page = Math.max(1, Math.floor(this.root.clientHeight / this.rowHeight) - 4);
    const moves = {
      ArrowRight: () => this.go({ ...this.at, library: across[Math.min(column + 1, across.length - 1)] }),
      ArrowLeft: () => this.go({ ...this.at, library: across[Math.max(column - 1, 0)] }),
      ArrowDown: () => this.down(row, 1),
      ArrowUp: () => this.down(row, -1),
      PageDown: () => this.down(row, page),
      PageUp: () => this.down(row, -page),
      Home: () => (event.ctrlKey ? this.down(row, -row) : this.go({ ...this.at, library: null })),
      End: () => (event.ctrlKey ? this.down(row, this.keys.length) : this.go({ ...this.at, library: across.at(-1) })),
      Enter: () => this.open(this.at.key, this.at.library),
      " ": () => this.open(this.at.key, this.at.library),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }

  /** To another row: to the same library there, or the nearest one. */
  down(row, by) {
    const key = this.keys[Math.min(Math.max(row + by, 0), this.keys.length - 1)];
    let library = this.at.library;
    if (library !== null) {
      const here = this.index.get(library);
      const far = (it) => Math.abs(this.index.get(it) - here);
      library = this.librariesOf(key).reduce((best, it) => (best === null || far(it) < far(best) ? it : best), null);
    }
    this.go({ key, library });
  }

  click(event) {
    const element = event.target.closest(".row > .cell, .row > .name");
    if (!element) return;
    this.go({ key: element.parentElement.key, library: element.library });
    this.open(this.at.key, this.at.library);
  }
}
