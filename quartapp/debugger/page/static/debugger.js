"use strict";
// Everything from the server is inserted as text: this file uses no innerHTML.

const { prefix, id, secret } = document.body.dataset;
const lock = document.getElementById("lock");
const stale = document.getElementById("stale");

async function post(path, body) {
  const response = await fetch(prefix + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Debugger-Secret": secret },
    body: JSON.stringify(body),
    redirect: "error",
  });
  if (response.status === 410) {
    stale.hidden = false;
    stale.scrollIntoView({ block: "nearest" });
    throw new Error("this page is stale");
  }
  const data = await response.json();
  if (response.status === 401) setUnlocked(false);
  if (!response.ok) throw new Error(data.error);
  return data;
}

function setUnlocked(unlocked) {
  lock.hidden = unlocked;
  for (const tools of document.querySelectorAll(".tools")) tools.hidden = !unlocked;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

if (lock) {
  setUnlocked(document.body.dataset.unlocked === "yes");
  lock.addEventListener("submit", async (event) => {
    event.preventDefault();
    const output = lock.querySelector("output");
    output.textContent = "…";
    try {
      await post("/unlock", { pin: lock.elements.pin.value });
      output.textContent = "";
      setUnlocked(true);
    } catch (error) {
      output.textContent = error.message;
    }
    lock.elements.pin.value = "";
  });
}

for (const frame of document.querySelectorAll(".frame")) {
  const number = Number(frame.dataset.frame);
  frame.querySelector(".show-variables")?.addEventListener("click", () => toggleVariables(frame, number));
  frame.querySelector(".show-prompt")?.addEventListener("click", () => openPrompt(frame, number));
}

async function toggleVariables(frame, number) {
  const box = frame.querySelector(".variables");
  if (box.childElementCount) return box.replaceChildren();
  try {
    const { rows } = await post(`/failures/${id}/variables`, { frame: number });
    box.replaceChildren(rows.length ? variablesTable(rows, number) : element("p", "note", "No variables."));
  } catch (error) {
    box.replaceChildren(element("p", "note", error.message));
  }
}

function variablesTable(rows, number) {
  const table = element("table");
  for (const [name, text] of rows) {
    const row = table.insertRow();
    row.append(element("th", "", name), element("td", "", text ?? ""));
    if (text !== null) continue;
    const reveal = element("button", "reveal", "Hidden: show it");
    reveal.type = "button";
    reveal.addEventListener("click", async () => {
      try {
        const revealed = await post(`/failures/${id}/variables`, { frame: number, reveal: name });
        row.lastChild.textContent = revealed.text;
      } catch (error) {
        row.lastChild.textContent = error.message;
      }
    });
    row.lastChild.append(reveal);
  }
  return table;
}

function openPrompt(frame, number) {
  const box = frame.querySelector(".prompt");
  if (!box.childElementCount) {
    const log = element("div", "log");
    const entry = element("div", "entry");
    const input = element("textarea");
    input.rows = 1;
    input.spellcheck = false;
    input.setAttribute("aria-label", "Python, in this frame");
    entry.append(element("span", "sign", ">>>"), input);
    box.append(log, entry, element("p", "note", "Enter runs a complete command, Shift+Enter begins a new line, Ctrl+Enter runs the input as it is. await works."));
    attachKeys(input, log, number);
  }
  box.querySelector("textarea").focus();
}

function attachKeys(input, log, number) {
  const history = [];
  let at = 0;
  const fit = () => { input.rows = input.value.split("\n").length; };
  input.addEventListener("input", fit);
  input.addEventListener("keydown", async (event) => {
    const single = !input.value.includes("\n");
    if (single && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      at = Math.min(Math.max(at + (event.key === "ArrowUp" ? -1 : 1), 0), history.length);
      input.value = history[at] ?? "";
      return fit();
    }
    if (event.key === "Tab" && !event.shiftKey && input.value.trim() !== "") {
      event.preventDefault();
      input.setRangeText("    ", input.selectionStart, input.selectionEnd, "end");
      return;
    }
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    const code = input.value;
    if (!code.trim() || input.readOnly) return;
    input.readOnly = true;
    try {
      const reply = await post(`/failures/${id}/run`, { frame: number, code, now: event.ctrlKey });
      if (reply.more) {
        const last = code.slice(code.lastIndexOf("\n") + 1);
        const indent = /^\s*/.exec(last)[0] + (last.trimEnd().endsWith(":") ? "    " : "");
        input.value = code + "\n" + indent;
      } else {
        at = history.push(code);
        input.value = "";
        record(log, code, reply);
      }
    } catch (error) {
      log.append(element("pre", "error", error.message));
    }
    input.readOnly = false;
    fit();
    input.focus();
  });
}

function record(log, code, reply) {
  const typed = code.trimEnd().split("\n").map((line, index) => (index ? "... " : ">>> ") + line);
  log.append(element("pre", "typed", typed.join("\n")));
  if (reply.output) log.append(element("pre", "output", reply.output));
  if (reply.value !== null) log.append(element("pre", "value", reply.value));
  if (reply.error) log.append(element("pre", "error", reply.error));
}

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(source);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: press Ctrl+C";
    }
  });
}

// A link to a section opens it.
function openTarget() {
  const details = document.querySelector(`${location.hash || "#traceback"} > details`);
  if (details) details.open = true;
}
addEventListener("hashchange", openTarget);
for (const link of document.querySelectorAll("nav a")) link.addEventListener("click", () => setTimeout(openTarget));
if (/^#[a-z]+$/.test(location.hash)) openTarget();
