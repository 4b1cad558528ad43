// What is known of one cell, and what a person may do about it.

import { askToAct } from "./acts.js";
import { badge, clock, day, make, plural, shortened, wordOf } from "./dom.js";
import { showEvidence } from "./evidence.js";
import { get } from "./server.js";
import { duration } from "./timeline.js";

export class Details {
  constructor(dialog) {
    this.dialog = dialog;
    this.whenClosed = () => {};
    dialog.addEventListener("close", () => {
      this.cell = null;
      this.whenClosed();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }

  open(service, row, library) {
    this.cell = { service, library, name: row.name };
    const title = make("h2", { id: "details-title" }, library ?? row.name);
    const below = library === null ? plural(row.processes, "process", "processes") : `in ${row.name}`;
    const close = make("button", { type: "button", onclick: () => this.dialog.close() }, "Close");
    this.body = make("div", { class: "body" });
    this.said = make("div", { class: "said", role: "status" });
    this.fixes = make("section", {});
    this.dialog.replaceChildren(make("div", { class: "top" }, make("div", {}, title, make("p", { class: "in" }, below)), close), this.body);
    if (!this.dialog.open) this.dialog.showModal();
    if (library === null) this.showService(row);
    else this.load();
  }

  /** Rows have changed: null for all. */
  changed(keys, services) {
    if (!this.cell || this.cell.library === null || (keys && !keys.includes(this.cell.service))) return;
    if (services.has(this.cell.service)) this.load();
  }

  showService(row) {
    const note = row.note ? [make("h3", {}, "Not served"), make("p", {}, row.note)] : [];
    const cells = Object.entries(row.cells).map(([name, [word, count, total]]) =>
      make("li", { class: "result" }, badge(word), `${name}: ${wordOf(word)}${count < total ? ` in ${count} of ${total} processes` : ""}`),
    );
    this.body.replaceChildren(make("section", { class: "state" }, ...note, make("h3", {}, plural(cells.length, "library", "libraries")), make("ul", { class: "list" }, cells)));
  }

  async load() {
    const cell = this.cell;
    const found = await get("/cell", { service: cell.service, library: cell.library });
    if (this.cell !== cell) return; // another one was opened meanwhile
    const text = JSON.stringify(found);
    if (text === cell.shown) return;
    cell.shown = text;
    if (found.error) this.body.replaceChildren(make("p", { class: "empty" }, found.error));
    else if (!found.states.length) this.body.replaceChildren(make("p", { class: "empty" }, "No process of this service has it any more."));
    else this.body.replaceChildren(this.said, ...found.states.map((it) => this.state(it)), this.fixes);
    showFixes(this.fixes, cell);
  }

  /** Processes of which the same is to be said; each function gives the elements of one part, or nothing. */
  state(it) {
    const place = make("div", { class: "place" });
    return make(
      "section",
      { class: "state" },
      make("p", { class: "result" }, badge(it.word), `${wordOf(it.word)}`),
      this.acts(it, place),
      place,
      versions(it),
      reasons(it),
      stale(it),
      processes(it),
    );
  }

  acts(it, place) {
    const buttons = [];
    const add = (text, act, question) =>
      buttons.push(
        make("button", { type: "button", onclick: () => askToAct(place, this.said, act, question, this.cell, () => this.load()) }, text),
      );
    if (it.word.startsWith("updated"))
      add("Roll back…", "rollback", `Take ${this.cell.library} back to the version before, in all processes of ${this.cell.name}? What lies on disk then waits until it changes, or you let it run again.`);
    if (it.word === "rolled back") add("Run what is on disk…", "resume", `Let ${this.cell.library} in ${this.cell.name} run what lies on disk again?`);
    if (it.waiting_version)
      add("Allow…", "allow", `Allow version ${shortened(it.waiting_version)} of ${this.cell.library}? It goes into all processes that run the same version now, of all services.`);
    if (it.version && it.refused_version)
      buttons.push(
        make("button", { type: "button", onclick: (event) => showEvidence(place, event.currentTarget, it.version, it.refused_version) }, "Compare the instructions"),
      );
    return buttons.length ? make("div", { class: "acts" }, buttons) : null;
  }
}

function facts(title, rows) {
  const shown = rows.filter(([, value]) => value);
  if (!shown.length) return null;
  return [make("h3", {}, title), make("dl", { class: "facts" }, shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))];
}

const version = (digest, buildId = "") => digest && make("span", { class: "code", title: digest }, buildId ? `${shortened(buildId)}  (SHA-256 ${shortened(digest)})` : shortened(digest));

function versions(it) {
  return facts("Versions", [
    ["Path", make("span", { class: "code" }, it.path)],
    ["Runs", version(it.version, it.build_id) || "not known"],
    ["Not in force", version(it.refused_version)],
    ["Over, on disk", version(it.rolled_back_over)],
    ["Since", it.changed ? `${day(it.changed)}, ${clock(it.changed)}` : ""],
    ["Update took", it.milliseconds ? duration(it.milliseconds) : ""],
    ["In memory", it.versions_loaded > 1 ? plural(it.versions_loaded, "version", "versions") : ""],
    ["Overwritten in place", it.unprotected ? `would not survive it: ${it.unprotected}` : ""],
  ]);
}

/** What comes from the packages takes the daemon longer than the rest. */
async function showFixes(section, { service, library }) {
  const found = await get("/cves", { service, library });
  if (found.error) return; // an older daemon; what counts is there
  const rows = [
    ["Package", found.packages.join("; ")],
    ["Fixed in memory", found.fixed.join(", ")],
    ["Fixed on disk only", found.missing.join(", ")],
    ["Not known", found.unknown.join("; ")],
  ];
  section.replaceChildren(...(facts("Package and CVEs", rows) ?? []));
}

function reasons(it) {
  const texts = [...it.details, ...it.waits_for.map((path) => `waits for ${path}`)];
  return texts.length ? [make("h3", {}, "Why"), make("ul", { class: "reasons" }, texts.map((text) => make("li", {}, text)))] : null;
}

function stale(it) {
  const texts = [...it.stale_threads];
  if (it.stale_functions.length) texts.push(`pointers still lead to the old code of ${it.stale_functions.join(", ")}`);
  return texts.length ? [make("h3", {}, "Old code that is left"), make("ul", { class: "reasons" }, texts.map((text) => make("li", {}, text)))] : null;
}

function processes(it) {
  const more = it.count - it.processes.length;
  return [
    make("h3", {}, plural(it.count, "process", "processes")),
    make("ul", { class: "processes" }, it.processes.map(({ pid, command }) => make("li", {}, make("span", {}, String(pid)), make("span", {}, command)))),
    more ? make("p", { class: "in" }, `and ${more} more`) : null,
  ];
}
