// What a person does: it is asked for first, and needs the token.

import { make } from "./dom.js";
import { send } from "./server.js";
import { forgetToken, keepToken, token } from "./token.js";

/** Ask in `place` whether to do it, and say in `said` what came of it. `act` is a name of the server's. */
export function askToAct(place, said, act, question, cell, done, complaint = "") {
  const field = token() ? null : make("input", { type: "password", autocomplete: "off", id: "token", required: true });
  const yes = make("button", { type: "submit", class: "main" }, "Do it");
  const no = make("button", { type: "button", onclick: () => place.replaceChildren() }, "Cancel");
  const form = make(
    "form",
    { class: "ask" },
    make("p", {}, question),
    complaint ? make("p", { class: "bad", role: "alert" }, complaint) : null,
    field ? make("label", {}, "Token, as it was printed where the page was started", field) : null,
    make("div", { class: "acts" }, yes, no),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (field) keepToken(field.value.trim());
    yes.disabled = no.disabled = true;
    yes.textContent = "Working…";
    const [status, answer] = await send(act, cell);
    if (status === 401) {
      forgetToken();
      askToAct(place, said, act, question, cell, done, answer.error);
      return;
    }
    place.replaceChildren();
    const lines = answer.error ? [["bad", answer.error]] : [...answer.said.map((it) => ["", it]), ...answer.failed.map((it) => ["bad", it])];
    said.replaceChildren(...lines.map(([kind, text]) => make("p", { class: kind }, text)));
    done();
  });
  place.replaceChildren(form);
  (field ?? yes).focus();
}
