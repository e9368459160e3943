// The task list. Each change is a request to the API, and a row shows what the server has answered, not what was hoped.
const find = (selector) => document.querySelector(selector);
const list = find("#tasks"), error = find("#error"), wire = find("#wire"), field = find("#title");
const rows = new Map(); // task id -> its <li>: a row stays the same element, so that it keeps the focus
const WIRE = 6; // exchanges shown
const SHOWN = 1500; // characters of a body shown

/** What the server will not do, or cannot, in a sentence for people. */
class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children); // as text, never as HTML: a title may be anything
  return made;
}

// -- the API

async function ask(method, path, body) {
  const sent = body && JSON.stringify(body);
  const request = { method, body: sent, headers: sent && { "Content-Type": "application/json" }, cache: "no-store" };
  const start = performance.now();
  let response, text;
  try {
    response = await fetch(path, request);
    text = await response.text();
  } catch {
    record(method, path, sent);
    throw new Problem("The server does not answer. Is it still running?");
  }
  record(method, path, sent, response, text, firstByte(path) ?? performance.now() - start);
  let answer = null;
  try {
    answer = text && JSON.parse(text);
  } catch {
    throw new Problem(`The server answered ${response.status} with something that is no JSON.`);
  }
  if (!response.ok) throw new Problem(answer?.detail ?? `${response.status} ${response.statusText}`, response.status);
  return answer;
}

/** Milliseconds from the last request for `path` to the first byte of its answer, without the browser's own doings. */
function firstByte(path) {
  const timing = performance.getEntriesByName(new URL(path, location).href).at(-1);
  performance.clearResourceTimings(); // the browser keeps a few hundred and then no more
  return timing?.responseStart ? timing.responseStart - timing.requestStart : undefined;
}

let last = Promise.resolve();

/** Runs one action after those before it, and shows what went wrong with it. */
function act(action) {
  last = last.then(async () => {
    list.ariaBusy = "true";
    try {
      await action();
      error.textContent = "";
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      error.textContent = problem.message.replace(/[^.?!]$/, "$&.").replace(/^./, (letter) => letter.toUpperCase());
    } finally {
      list.ariaBusy = "false";
    }
  });
  last = last.catch(reportError);
}

// -- the list

const load = () => act(async () => {
  const tasks = await ask("GET", "/tasks");
  const there = new Set(tasks.map((task) => task.id));
  for (const id of rows.keys()) if (!there.has(id)) take(id);
  tasks.forEach(put);
  count();
});

/** Shows a task as it is now; a new one comes first. */
function put(task) {
  if (!rows.has(task.id)) {
    rows.set(task.id, makeRow(task.id));
    list.prepend(rows.get(task.id));
  }
  const row = rows.get(task.id);
  row.querySelector("input").checked = task.done;
  row.querySelector("span").textContent = task.title;
  row.querySelector("button").ariaLabel = `Remove ${task.title}`;
}

/** Takes a row out of the list; the focus goes from it to its neighbour, or to the field. */
function take(id) {
  const row = rows.get(id);
  if (row.contains(document.activeElement)) {
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    (neighbour?.querySelector("button") ?? field).focus();
  }
  row.remove();
  rows.delete(id);
}

function makeRow(id) {
  const box = element("input", { type: "checkbox" });
  const remove = element("button", { type: "button", textContent: "×", title: "Remove" });
  box.onchange = () => {
    const done = box.checked;
    act(async () => {
      try {
        put(await ask("PATCH", `/tasks/${id}`, { done }));
      } catch (problem) {
        box.checked = !done;
        throw problem;
      }
      count();
    });
  };
  remove.onclick = () => act(async () => {
    if (!rows.has(id)) return; // a second click
    const title = rows.get(id).querySelector("span").textContent;
    try {
      await ask("DELETE", `/tasks/${id}`);
    } catch (problem) {
      if (problem.status !== 404) throw problem; // somebody else was faster
    }
    take(id);
    count();
    say(`Removed ${title}`);
  });
  return element("li", {}, element("label", {}, box, element("span")), remove);
}

function count() {
  const open = list.querySelectorAll("input:not(:checked)").length;
  find("#count").textContent = rows.size ? `${open} of ${rows.size} to do` : "";
  find("#empty").hidden = rows.size > 0;
}

/** For screen readers: what has changed, where the eye would see it. */
function say(text) {
  find("#said").textContent = text;
}

find("#add").onsubmit = (event) => {
  event.preventDefault();
  const title = field.value;
  field.value = ""; // at once, so that a second Enter does not add it again
  act(async () => {
    try {
      put(await ask("POST", "/tasks", { title }));
    } catch (problem) {
      field.value ||= title;
      field.focus();
      throw problem;
    }
    count();
    say(`Added ${title}`);
  });
};

// -- the wire

/** Adds an exchange to the list of the last ones: a line, and in it what was sent and what came. */
function record(method, path, sent, response, text, milliseconds) {
  const status = response ? `${response.status} ${response.statusText}` : "no answer";
  const lines = [`> ${method} ${path} HTTP/1.1`, ...(sent ? ["> content-type: application/json", "", sent] : []), ""];
  if (response) {
    lines.push(`< HTTP/1.1 ${status}`, ...[...response.headers].map(([name, value]) => `< ${name}: ${value}`));
    if (text) lines.push("", text.length > SHOWN ? `${text.slice(0, SHOWN)} … ${text.length - SHOWN} more` : text);
  }
  const line = element("summary", {},
    element("b", { textContent: method }), " ", element("span", { className: "path", textContent: path }), " ",
    element("span", { className: response?.ok ? "status" : "status bad", textContent: status }), " ",
    element("span", { className: "time", textContent: response ? `${milliseconds.toFixed(1)} ms` : "" }));
  wire.prepend(element("li", {}, element("details", {}, line, element("pre", { textContent: lines.join("\n") }))));
  while (wire.children.length > WIRE) wire.lastElementChild.remove();
}

for (const place of document.querySelectorAll(".origin")) place.textContent = location.origin;
addEventListener("focus", load); // back from a terminal: the list may be another one by now
load();
