// What happened: a strip of marks by time, as high as the processes were held still, and a list.

import { badge, clock, day, make, plural } from "./dom.js";

const SHOWN = 30;
const KINDS = {
  updated: ["updated", "updated"],
  "rolled-back": ["rolled back", "rolled back"],
  refused: ["refused", "refused"],
  "held-back": ["held back", "held back"],
  "waiting-for-person": ["waiting", "waits for a person"],
  failed: ["failed", "failed"],
  "crash-after-update": ["failed", "crashed after the update"],
  allowed: ["updated", "was allowed"],
  rollback: ["rolled back", "is to go back"],
  resume: ["updated", "is to go forward again"],
};
const HIGHEST = 500; // ms, which fills the strip

export class TimeLine {
  constructor(list, chart, empty, older) {
    Object.assign(this, { list, chart, empty, older });
    this.entries = new Map(); // number → entry
    this.shown = SHOWN;
    older.addEventListener("click", () => {
      this.shown += SHOWN;
      this.draw();
    });
  }

  add(entries) {
    for (const it of entries) this.entries.set(it.number, it);
    this.draw();
  }

  draw() {
    const all = [...this.entries.values()].sort((a, b) => b.time - a.time || b.number - a.number);
    const items = [];
    let last = "";
    for (const it of all.slice(0, this.shown)) {
      if (day(it.time) !== last) items.push(make("li", {}, make("span", { class: "day" }, (last = day(it.time)))));
      items.push(entry(it));
    }
    this.list.replaceChildren(...items);
    this.empty.hidden = all.length > 0;
    this.older.hidden = all.length <= this.shown;
    this.drawChart(all);
  }

  drawChart(all) {
    this.chart.hidden = all.length < 2;
    if (all.length < 2) return;
    const [end, start] = [all[0].time, all.at(-1).time];
    const span = Math.max(end - start, 1);
    const label = (time) => (day(start) === day(end) ? clock(time) : `${day(time).split(",").at(-1).trim()}, ${clock(time).slice(0, 5)}`);
    const axis = make("div", { class: "axis" }, ...[start, start + span / 2, end].map((time) => make("span", {}, label(time))));
    const marks = all.map((it) => {
      const [word] = KINDS[it.kind] ?? [it.kind];
      const mark = make("span", { class: `mark-of ${word.replace(/[^a-z]+/g, "-")}`, title: `${clock(it.time)} ${it.library} ${it.kind}` });
      mark.style.left = `${2 + (96 * (it.time - start)) / span}%`;
      mark.style.height = `${8 + (50 * Math.log1p(Math.min(it.still || 0, HIGHEST))) / Math.log1p(HIGHEST)}px`;
      return mark;
    });
    this.chart.replaceChildren(...marks, axis);
  }
}

function entry(it) {
  const [word, said] = KINDS[it.kind] ?? [it.kind, it.kind];
  const where = it.service ? ` in ${it.service}` : "";
  const count = it.processes > 1 ? `, ${plural(it.processes, "process", "processes")}` : "";
  const meta = [];
  if (it.before || it.after) meta.push([it.before, it.after].filter(Boolean).join(" → "));
  if (it.milliseconds) meta.push(`took ${duration(it.milliseconds)}`);
  if (it.still) meta.push(`threads held still for ${duration(it.still)}`);
  if (it.by) meta.push(`by ${it.by}`);
  return make(
    "li",
    {},
    make("time", { datetime: new Date(it.time * 1000).toISOString() }, clock(it.time)),
    badge(word),
    make(
      "div",
      { class: "what" },
      make("b", {}, it.library || "liveso"),
      ` ${said}${where}${count}`,
      it.reason ? make("div", { class: "meta why", title: it.reason }, it.reason) : null,
      meta.length ? make("div", { class: "meta" }, meta.join(" · ")) : null,
    ),
  );
}

export const duration = (milliseconds) =>
  milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
