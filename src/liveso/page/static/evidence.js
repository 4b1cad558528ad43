// The findings about two versions, with the old and the new instructions side by side.

import { make, plural } from "./dom.js";
import { get } from "./server.js";

const AROUND = 3; // equal rows that are shown before and after a difference

export async function showEvidence(place, button, old, now) {
  button.disabled = true;
  place.replaceChildren(make("p", { class: "empty", role: "status" }, "Comparing both versions…"));
  const found = await get("/evidence", { old, new: now });
  button.disabled = false;
  if (found.error) place.replaceChildren(make("p", { class: "empty" }, found.error));
  else place.replaceChildren(make("h3", {}, plural(found.findings.length, "finding", "findings")), ...found.findings.map(finding), found.more ? make("p", { class: "in" }, `and ${found.more} more`) : "");
}

function finding(it) {
  const weight = make("span", { class: `weight ${it.weight === "note" ? "note" : it.weight === "asks" ? "asks" : ""}` }, it.weight);
  return make("div", { class: "finding" }, make("p", { class: "rule" }, weight, ` · ${it.layer} · ${it.rule}`), make("p", {}, it.text), it.functions.map(instructions));
}

function instructions({ name, rows }) {
  const head = make("tr", {}, make("th", { scope: "col" }, "runs now"), make("th", { scope: "col" }, "on disk"));
  const body = shown(rows).map((it) => (typeof it === "number" ? skipped(it) : line(it)));
  return make("div", { class: "function", tabindex: "0", role: "region", "aria-label": `instructions of ${name}` }, make("table", {}, make("caption", {}, name), make("thead", {}, head), make("tbody", {}, body)));
}

/** The rows near a difference; for others, how many they are. */
function shown(rows) {
  const isNear = rows.map(() => false);
  rows.forEach((it, number) => {
    if (it.is_same && !it.old?.is_named && !it.new?.is_named) return;
    for (let near = Math.max(0, number - AROUND); near <= Math.min(rows.length - 1, number + AROUND); near++) isNear[near] = true;
  });
  const found = [];
  rows.forEach((it, number) => {
    if (isNear[number]) found.push(it);
    else if (typeof found.at(-1) === "number") found[found.length - 1] += 1;
    else found.push(1);
  });
  return found;
}

const skipped = (count) => make("tr", { class: "skipped" }, make("td", { colspan: "2" }, plural(count, "instruction is the same", "instructions are the same")));

function line(it) {
  const side = (kind, one) =>
    one
      ? make("td", { class: `${kind}${one.is_named ? " is-named" : ""}` }, make("span", { class: "at" }, `${one.address.toString(16)}  `), one.text)
      : make("td", { class: "none" });
  return make("tr", it.is_same ? {} : { class: "differs" }, side("old", it.old), side("new", it.new));
}
