// A sign-in link carries the token behind "#", which browsers never send: put it into the form and out of the address.
const token = document.getElementById("token");
if (token && location.hash.startsWith("#dure_")) {
  token.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
}

// Whether the live connection holds. A stream that broke is mended by its extension, which counts its attempts from 0;
// one that never came up is asked for again here.
const live = document.getElementById("live");
const connection = document.getElementById("connection");
const againMilliseconds = 3000;
if (live && connection) {
  const lost = (isLost) => { if (connection.isConnected) connection.hidden = !isLost; };
  const neverCameUp = () => {
    lost(true);
    setTimeout(() => htmx.trigger(live, "dure:again"), againMilliseconds);
  };
  live.addEventListener("htmx:sse:before:connection", (event) => lost(event.detail.connection.attempt > 0));
  live.addEventListener("htmx:sse:after:connection", () => lost(false));
  live.addEventListener("htmx:sse:error", () => lost(true));
  live.addEventListener("htmx:error", neverCameUp);
  live.addEventListener("htmx:response:error", neverCameUp);
}

// A log follows its end while the reader stands there, and a page does not grow without bound.
const log = document.getElementById("log");
const lettersMax = 1 << 20;
if (log) {
  let atEnd = true;
  log.addEventListener("scroll", () => { atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40; });
  const settle = () => {
    let letters = log.textContent.length;
    while (letters > lettersMax && log.firstChild !== log.lastChild) {
      letters -= log.firstChild.textContent.length;
      log.firstChild.remove();
      document.getElementById("left-out").hidden = false;
    }
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  new MutationObserver(settle).observe(log, { childList: true });
  settle();
}
