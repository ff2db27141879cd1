/* Keeps an open page up to date with the events of the server. All of it is text, and what the
   reader looks at stays where it is: a group that is not on the page is only named. */
"use strict";

(() => {
  const news = document.querySelector("[data-events]");
  if (!news || !window.EventSource) return;

  const TRY_AGAIN = 15000;
  const TELL_TIME = 20000;
  const unseen = new Map();
  let position = news.dataset.since;
  let source = null;
  let timer = 0;
  let missedMuch = false;

  const on = (kind, act) => source.addEventListener(kind, (event) => {
    position = event.lastEventId || position;
    act(JSON.parse(event.data));
  });

  function open() {
    clearTimeout(timer);
    if (source || document.hidden) return;
    const url = new URL(news.dataset.events, location.href);
    url.searchParams.set("since", position);
    source = new EventSource(url);
    on("group", showGroup);
    on("overview", showTexts);
    on("resync", () => { missedMuch = true; tell(); });
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again
      close();
      timer = setTimeout(open, TRY_AGAIN);
    };
  }

  function close() {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  }

  function put(element, text) {
    if (element.textContent === text) return false;
    element.textContent = text;
    return true;
  }

  function showGroup(group) {
    const rows = document.querySelectorAll(`[data-id="${Number(group.id)}"]`);
    if (!rows.length) {
      unseen.delete(group.id); // so that the newest is the last
      unseen.set(group.id, group.title);
      return tell();
    }
    for (const row of rows) {
      let changed = false;
      for (const field of row.querySelectorAll("[data-field]")) {
        const name = field.dataset.field;
        if (name === "count") changed = put(field, group.count) || changed;
        if (name === "state") { put(field, group.state); field.className = `state ${group.state}`; }
        if (name === "last_seen") showTime(field.querySelector("time"), group.last_seen);
      }
      if (changed) {
        row.classList.remove("changed");
        void row.offsetWidth; // so that the animation begins again
        row.classList.add("changed");
      }
    }
  }

  function showTexts(texts) {
    for (const element of document.querySelectorAll("[data-text]")) {
      const text = texts[element.dataset.text];
      if (text === undefined) continue;
      put(element, text);
      if (element.dataset.value !== undefined) element.dataset.value = text;
    }
  }

  function showTime(element, moment) {
    if (!element) return;
    element.dateTime = moment;
    element.title = moment.replace("T", " ").replace("+00:00", " UTC");
    put(element, ago(moment));
  }

  function ago(moment) {
    const seconds = (Date.now() - Date.parse(moment)) / 1000;
    if (seconds < 60) return seconds < 10 ? "now" : `${Math.round(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return seconds < 7 * 86400 ? `${Math.floor(seconds / 86400)} d ago` : moment.slice(0, 10);
  }

  function tell() {
    const title = [...unseen.values()].pop();
    let text = unseen.size === 1 ? "1 error is not on this page" : `${unseen.size} errors are not on this page`;
    if (missedMuch) text = "Many errors are not on this page";
    const link = document.createElement("a");
    link.href = news.dataset.list;
    link.textContent = "Show the list";
    news.replaceChildren(title && !missedMuch ? `${text}: ${title} ` : `${text}. `, link);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  setInterval(() => {
    for (const element of document.querySelectorAll("time[datetime]")) put(element, ago(element.dateTime));
  }, TELL_TIME);
  open();
})();
