// The page: what the server tells, to what is shown.

import { ALL_WORDS, badge, clock, make, plural, signName, wordOf } from "./dom.js";
import { Details } from "./details.js";
import { Grid } from "./grid.js";
import { TimeLine } from "./timeline.js";
import { takeToken } from "./token.js";

const $ = (id) => document.getElementById(id);
const known = { services: new Map(), order: [], head: null };
const details = new Details($("details"));
const grid = new Grid($("grid"), (service, library) => details.open(service, known.services.get(service), library));
const timeLine = new TimeLine($("past"), $("chart"), $("no-past"), $("older"));

takeToken();
details.whenClosed = () => grid.focus();

function listen() {
  const source = new EventSource("/events");
  source.addEventListener("message", (event) => take(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    showLink("is-lost", "the page does not answer; trying again");
    $("grid").classList.add("is-old");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}

function take(told) {
  if (told.past) timeLine.add(told.past);
  if (told.error) {
    showError(told.error);
    return;
  }
  if (told.is_all) known.services = new Map(Object.entries(told.services));
  else {
    for (const [key, row] of Object.entries(told.services ?? {})) known.services.set(key, row);
    for (const key of told.gone ?? []) known.services.delete(key);
  }
  if (told.order) known.order = told.order;
  if (told.head) {
    known.head = told.head;
    showHead(told.head);
  }
  if (told.is_all || told.services || told.order) {
    $("grid").classList.remove("is-old");
    showLegend();
    grid.show(known.services, known.order, told.is_all ? null : new Set(Object.keys(told.services ?? {})));
    showWhetherEmpty();
    details.changed(told.is_all ? null : Object.keys(told.services ?? {}), known.services);
  }
}

function showHead(head) {
  $("sentence").textContent = head.sentence;
  $("remark").textContent = head.is_clear || !head.processes ? "" : "Open a cell for the reason, and for what can be done.";
  $("problems").hidden = !head.problems.length;
  $("problems").replaceChildren(...head.problems.map((text) => make("li", {}, text)));
  const version = head.daemon.version ? ` of liveso ${head.daemon.version}` : "";
  showLink("is-live", `${plural(head.processes, "process", "processes")} · daemon ${head.daemon.pid}${version}`);
  document.title = `${head.sentence} · liveso`;
}

function showError(text) {
  $("sentence").textContent = "No daemon answers.";
  $("remark").textContent = text;
  document.title = "No daemon answers · liveso";
  $("grid").classList.add("is-old");
  showLink("is-lost", known.head ? `what follows was so at ${clock(Date.now() / 1000)}` : "asking again every second");
}

function showLink(state, text) {
  $("link").className = `link ${state}`;
  $("link-text").textContent = text;
}

function showLegend() {
  const counts = new Map();
  for (const row of known.services.values())
    for (const [word] of Object.values(row.cells)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...ALL_WORDS.filter((word) => counts.has(word)), ...[...counts.keys()].filter((it) => signName(it) === "unknown")];
  $("legend").replaceChildren(...words.map((word) => make("li", {}, badge(word), `${wordOf(word)} ${counts.get(word).toLocaleString("en")}`)));
}

function showWhetherEmpty() {
  const isEmpty = grid.isEmpty;
  $("empty").hidden = !isEmpty;
  $("grid").hidden = isEmpty;
  $("empty").textContent = known.services.size ? "Nothing here is like that." : "No process is kept up to date here: run programs with live.so, or `liveso attach` them.";
}

for (const id of ["filter", "attention"])
  $(id).addEventListener("input", () => {
    grid.filter($("filter").value, $("attention").checked);
    showWhetherEmpty();
  });
listen();
