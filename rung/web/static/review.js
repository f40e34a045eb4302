// A little on top of plain forms: keys, the next row without a flash, the difference while you type, and a form that
// stays filled when the server cannot be reached. Without it everything works too.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const typing = (target) => target.closest("textarea, input:not([type=hidden]):not([type=checkbox]), select") !== null;
  let pending = null;

  let looks = Promise.resolve();

  function look(form, button) {
    const root = document.documentElement, wish = button.value;
    if (wish === "light" || wish === "dark") root.dataset.theme = wish;
    else root.dataset.size = Math.min(4, Math.max(1, Number(root.dataset.size) + (wish === "bigger" ? 1 : -1)));
    const body = new URLSearchParams(new FormData(form));
    body.set("look", wish);
    looks = looks.then(() => fetch("/look", { method: "POST", body, redirect: "manual" })).catch(() => {});
  }

  function notice(words, again) {
    const box = $("#notice");
    if (!box) return;
    box.replaceChildren(document.createTextNode(words));
    box.hidden = !words;
    if (again) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Send again";
      button.addEventListener("click", again);
      box.append(" ", button);
      button.focus();
    }
  }

  function settle() {
    const guide = $("#guide");
    if (guide && matchMedia("(min-width: 60rem)").matches) guide.open = true;
    const focus = $("[autofocus]");
    if (focus) focus.focus({ preventScroll: true });
    if (focus && focus.id !== "item") focus.scrollIntoView({ block: "nearest" });
    if (focus && focus.tagName === "TEXTAREA") focus.setSelectionRange(focus.value.length, focus.value.length);
    const compare = $("#compare");
    if (compare) compare.hidden = true;
  }

  function take(text, status) {
    const next = new DOMParser().parseFromString(text, "text/html");
    const main = $("main", next);
    if (!main || main.hasAttribute("data-closed")) return false;
    $("main").replaceWith(main);
    const strip = $(".strip", next), leave = $(".who", next);
    if (strip && $(".strip")) $(".strip").replaceWith(strip);
    if (leave && $(".who")) $(".who").replaceWith(leave);
    document.title = next.title;
    notice("");
    const result = $(".result");
    const problem = $(".problem, .lead");
    $("#said").textContent = status >= 400 && problem ? problem.textContent : result ? result.textContent : next.title;
    scrollTo(0, 0);
    settle();
    return true;
  }

  async function send(form, submitter) {
    if (pending) return;
    const data = new FormData(form, submitter);
    const action = (submitter && submitter.getAttribute("formaction")) || form.getAttribute("action");
    const body = new URLSearchParams(data);
    const stop = new AbortController();
    const late = setTimeout(() => stop.abort(), 35000);
    pending = form;
    document.body.classList.add("busy");
    try {
      const answer = await fetch(action, { method: "POST", body, signal: stop.signal, credentials: "same-origin" });
      const text = await answer.text();
      if (!take(text, answer.status)) {
        const page = new DOMParser().parseFromString(text, "text/html");
        const words = $(".lead", page) ? $(".lead", page).textContent : `The server said ${answer.status}.`;
        notice(`Not sent: ${words} Your decision is still here:`, () => send(form, submitter));
      } else if (answer.ok) remember(answer.redirected ? new URL(answer.url).pathname : "/");
    } catch {
      notice("Not sent. Your decision is still here:", () => send(form, submitter));
    } finally {
      clearTimeout(late);
      pending = null;
      document.body.classList.remove("busy");
    }
  }

  // Back leaves an open edit or the list of reasons, not the page; what was typed is kept as a draft.
  const panel = () => $("#text, #reasons") !== null;
  function remember(path) {
    const open = history.state && history.state.panel;
    if (panel() && !open) history.pushState({ panel: true }, "", path);
    else history.replaceState(panel() ? { panel: true } : null, "", path);
  }

  async function leave() {
    if (!panel()) return;
    clearTimeout(writing);
    if ($("#text")) await compare();
    const row = $("main").dataset.row;
    try {
      const form = new FormData($("#decision"));
      form.set("panel", "none");
      form.delete("text");
      const answer = await fetch("/open", { method: "POST", body: new URLSearchParams(form), credentials: "same-origin" });
      if (panel() && $("main").dataset.row === row) take(await answer.text(), answer.status);
    } catch { notice("The page cannot be reached. What you typed is still here."); }
  }

  addEventListener("popstate", leave);

  document.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter;
    if (form.method !== "post") return;
    if (form.getAttribute("action") === "/leave") return;
    if (form.classList.contains("look")) {
      event.preventDefault();
      look(form, button);
      return;
    }
    event.preventDefault();
    send(form, button);
  });

  function find(words) {
    const wanted = words.trim().toLowerCase();
    let heading = null;
    for (const block of document.querySelectorAll("#guide-text > *")) {
      const here = !wanted || block.textContent.toLowerCase().includes(wanted);
      block.hidden = !here;
      if (block.tagName === "H3") heading = block;
      else if (here && heading) heading.hidden = false;
    }
  }

  let writing = 0;
  document.addEventListener("input", (event) => {
    if (event.target.id === "find") find(event.target.value);
    if (event.target.id !== "text") return;
    clearTimeout(writing);
    writing = setTimeout(compare, 600);
  });

  // An answer in use takes the place of the text.
  document.addEventListener("click", (event) => {
    const answer = event.target.closest("[data-fill]"), text = $("#text");
    if (!answer || !text) return;
    text.value = answer.dataset.fill;
    text.dispatchEvent(new Event("input", { bubbles: true }));
    text.focus();
  });

  // Shows the difference, keeps the draft and lengthens the lease: one request for all three.
  async function compare() {
    const form = $("#decision"), button = $("#compare");
    if (!form || !button || pending) return;
    const row = form.elements.row.value;
    try {
      const answer = await fetch("/open", { method: "POST", body: new URLSearchParams(new FormData(form, button)) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const changes = $("#changes", page), here = $("#decision");
      if (changes && here && here.elements.row.value === row && $("#changes")) $("#changes").replaceWith(changes);
      if (answer.status === 409) notice($(".lead", page).textContent + " Your text is kept as a draft.");
    } catch { /* the next decision says it */ }
  }

  document.addEventListener("keydown", (event) => {
    if (event.target.id === "text" && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      const save = $("[data-key='Ctrl+Enter']");
      if (save) save.click();
      return;
    }
    if (event.key === "Escape" && panel() && (!typing(event.target) || event.target.id === "text")) {
      event.preventDefault();
      if (history.state && history.state.panel) history.back();
      else leave();
      return;
    }
    if (event.key === "Escape" && typing(event.target)) {
      event.target.blur();
      $("#item").focus();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || event.repeat) return;
    const key = $(`[data-key="${CSS.escape(event.key)}"]`);
    if (!key) return;
    event.preventDefault();
    if (event.key === "m") {
      key.parentElement.open = true;
      $("#remark").focus();
    } else key.click();
  });

  settle();
})();
