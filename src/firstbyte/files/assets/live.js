// Live reload: what `firstbyte.files.live` tells of is loaded again.
(() => {
  "use strict";
  if (window.firstbyteLive) return;
  window.firstbyteLive = true;
  const script = document.currentScript;
  const events = script.src.replace(/\.js$/, "");
  let since = script.dataset.since; // the page has all that changed before
  let source = null;

  // A page that is not seen listens to nothing, since a browser has six connections for all its pages of one server.
  // When it is seen again it hears what it has missed.
  function listen() {
    if (document.hidden || source) return;
    source = new EventSource(`${events}?since=${since}`);
    source.onmessage = (event) => {
      since = event.lastEventId;
      const names = JSON.parse(event.data);
      if (!(names.length && names.every((name) => name.endsWith(".css") && swap(name)))) reload();
    };
    source.onerror = () => {
      if (source?.readyState == EventSource.CLOSED) {
        leave();
        setTimeout(listen, 1000);
      }
    };
  }

  function leave() {
    source?.close();
    source = null;
  }

  function reload() {
    // A page may have something that must not be lost: window.addEventListener("firstbyte:reload", e => e.preventDefault())
    if (window.dispatchEvent(new Event("firstbyte:reload", { cancelable: true }))) location.reload();
  }

  // Puts the new style sheets of that name behind the old ones, which go when those have come.
  function swap(name) {
    const links = [...document.querySelectorAll("link[rel~=stylesheet][href]:not([data-old])")].filter((link) => {
      const url = new URL(link.href);
      return url.origin == location.origin && decodeURIComponent(url.pathname).endsWith("/" + name);
    });
    for (const old of links) {
      const link = old.cloneNode();
      const url = new URL(old.href);
      url.searchParams.set("live", since);
      link.href = url;
      old.dataset.old = "";
      link.onload = () => old.remove();
      link.onerror = () => link.remove();
      old.after(link);
    }
    return links.length > 0;
  }

  addEventListener("visibilitychange", () => (document.hidden ? leave() : listen()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", listen);
  listen();
})();
