// The token: it comes behind the page's address, or is typed in, and is forgotten with the tab.

const NAME = "liveso-token";

export const token = () => sessionStorage.getItem(NAME) ?? "";
export const keepToken = (value) => sessionStorage.setItem(NAME, value);
export const forgetToken = () => sessionStorage.removeItem(NAME);

/** Take the token from the address, where it would be seen, and kept by the history. */
export function takeToken() {
  const found = /^#token=([\w-]+)$/.exec(location.hash);
  if (!found) return;
  keepToken(found[1]);
  history.replaceState(null, "", location.pathname);
}
