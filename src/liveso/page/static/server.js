// Questions to the server, and its answers.

import { token } from "./token.js";

const NO_ANSWER = { error: "The page does not answer." };

export async function get(path, parameters) {
  try {
    const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`);
    return await answer.json();
  } catch {
    return NO_ANSWER;
  }
}

/** Have an act done in a cell: the HTTP status, and the answer. */
export async function send(act, { service, library }) {
  try {
    const answer = await fetch(`/act/${act}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Liveso-Token": token() },
      body: JSON.stringify({ service, library }),
    });
    return [answer.status, await answer.json()];
  } catch {
    return [0, NO_ANSWER];
  }
}
