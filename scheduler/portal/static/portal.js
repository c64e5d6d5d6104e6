// A sign-in link carries the token behind "#", which browsers never send: put it into the form and out of the address.
const token = document.getElementById("token");
if (token && location.hash.startsWith("#dure_")) {
  token.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
}
