// Elements from values. All that comes from the daemon becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties, and children that are elements, or become text. */
export function make(tag, properties = {}, ...children) {
  const it = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") it.className = value;
    else if (name.startsWith("on")) it.addEventListener(name.slice(2), value);
    else if (value === true) it.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) it.setAttribute(name, value);
  }
  it.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return it;
}

const WORDS = {
  current: "as on disk",
  updated: "updated",
  "updated, but": "updated, but old code is left",
  refused: "refused",
  failed: "failed",
  waiting: "waits for a person",
  "held back": "held back",
  "rolled back": "rolled back",
};
export const ALL_WORDS = Object.keys(WORDS);

/** What a result is called on the page. */
export const wordOf = (word) => WORDS[word] ?? word;

/** The name of a result's sign and class; "unknown" for what a later daemon says. */
export const signName = (word) => (word in WORDS ? word.replace(/[^a-z]+/g, "-") : "unknown");

export function sign(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "sign");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#sign-${name}`);
  svg.append(use);
  return svg;
}

/** A result as a small coloured square with its sign. */
export function badge(word) {
  return make("span", { class: `cell ${signName(word)}` }, sign(signName(word)));
}

export const plural = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export const shortened = (version) => version.slice(0, 12);

const two = (number) => String(number).padStart(2, "0");
export const clock = (seconds) => {
  const it = new Date(seconds * 1000);
  return `${two(it.getHours())}:${two(it.getMinutes())}:${two(it.getSeconds())}`;
};
export const day = (seconds) =>
  new Date(seconds * 1000).toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
