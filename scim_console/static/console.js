// What the pages do by themselves: local times, copying, search as you type, and what is live. All content comes
// from the server as HTML that it has escaped.
"use strict";
(() => {
  const SECOND = 1000;
  const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const TYPING = 120; // milliseconds until a search is sent
  const SETTLING = 150; // milliseconds in which changes are one
  const csrf = document.querySelector('meta[name="csrf"]').content;
  const pulse = document.getElementById("pulse");

  // Times: the server writes UTC.

  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const ticks = {
    hour: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }),
    day: new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" }),
    month: new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" }),
  };

  function distance(then) {
    const seconds = (then - Date.now()) / SECOND;
    if (Math.abs(seconds) < 1) return "now";
    const [size, unit] = UNITS.find(([one]) => Math.abs(seconds) >= one);
    const number = Math.floor(Math.abs(seconds) / size);
    const length = `${number} ${unit}${number === 1 ? "" : "s"}`;
    return seconds > 0 ? `in ${length}` : `${length} ago`;
  }

  function localTimes(root) {
    for (const one of root.querySelectorAll("time[datetime]")) {
      const at = new Date(one.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      const local = full.format(at);
      if (one.hasAttribute("data-relative")) {
        one.textContent = distance(at);
        one.title = `${local} (${one.dateTime})`;
      } else {
        one.textContent = local;
        one.title = one.dateTime;
      }
    }
    for (const one of root.querySelectorAll("[data-tick]")) {
      one.textContent = ticks[one.dataset.tick].format(new Date(one.dataset.at));
    }
    for (const axis of root.querySelectorAll(".axis svg")) thin(axis);
  }

  // Of the times on a scale as many as there is room for; "now" always.
  function thin(axis) {
    const taken = [axis.querySelector(".now").getBoundingClientRect()];
    for (const one of axis.querySelectorAll("[data-tick]")) {
      one.removeAttribute("visibility");
      const box = one.getBoundingClientRect();
      if (taken.some((other) => box.left < other.right + 8 && box.right > other.left - 8)) one.setAttribute("visibility", "hidden");
      else taken.push(box);
    }
  }
  window.addEventListener("resize", () => document.querySelectorAll(".axis svg").forEach(thin));
  setInterval(() => localTimes(document), 15 * SECOND);

  // Said to those who don't see it.
  function say(text) {
    document.getElementById("said").textContent = text;
  }

  // Asking the server.

  async function ask(address, options = {}) {
    const answer = await fetch(address, { ...options, headers: { "X-CSRF-Token": csrf } });
    if (answer.status === 403) throw new Error("This page belongs to a console that has stopped. Open the link that the running console printed.");
    if (!answer.ok) throw new Error(`The console failed (${answer.status}); the terminal where it runs says why.`);
    return answer.text();
  }

  function reason(error) {
    return error instanceof TypeError ? "The console has ended: start it again" : error.message;
  }

  // Regions: parts of a page that come later, or again.

  const shown = new WeakMap(); // the HTML that a region was made of
  const asked = new WeakMap(); // the number of the last request; what comes late is dropped

  // Whether it shows now what was asked for.
  async function refresh(region) {
    const number = (asked.get(region) ?? 0) + 1;
    asked.set(region, number);
    let html;
    try {
      html = await ask(region.dataset.region);
    } catch (error) {
      if (asked.get(region) !== number) return false;
      off(reason(error));
      const loading = region.querySelector(".loading");
      if (loading) loading.textContent = reason(error);
      region.removeAttribute("aria-busy");
      return false;
    }
    if (asked.get(region) !== number) return false;
    region.removeAttribute("aria-busy");
    if (shown.get(region) === html) return true;
    const isFirst = !shown.has(region);
    shown.set(region, html);
    swap(region, html);
    if (!isFirst && region.hasAttribute("data-live")) say("Updated");
    return true;
  }

  function swap(region, html) {
    const focused = region.contains(document.activeElement) ? path(region, document.activeElement) : null;
    const open = [...region.querySelectorAll("details[open][id]")].map((one) => one.id);
    region.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) region.querySelector(focused)?.focus({ preventScroll: true });
    localTimes(region);
    begin(region);
  }

  function path(region, element) {
    const steps = [];
    for (let one = element; one !== region; one = one.parentElement) {
      steps.unshift(`:nth-child(${[...one.parentElement.children].indexOf(one) + 1})`);
    }
    return `:scope > ${steps.join(" > ")}`;
  }

  // What is empty is asked for at once. What was remembered is renewed together with the first news of the watch.
  function begin(root) {
    for (const region of root.querySelectorAll("[data-region][data-lazy]")) {
      if (region.querySelector(":scope > .loading")) refresh(region);
      else renew();
    }
  }

  let settling;

  function renew() {
    clearTimeout(settling);
    settling = setTimeout(() => {
      for (const region of document.querySelectorAll("[data-region][data-live], [data-region][data-lazy]")) {
        if (region.hasAttribute("data-live") || !shown.has(region)) refresh(region);
      }
    }, SETTLING);
  }

  // Search as you type: the region's address has what the form has.

  let typing;
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-search]");
    if (!form) return;
    clearTimeout(typing);
    typing = setTimeout(() => search(form), TYPING);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-search]");
    if (!form) return;
    event.preventDefault();
    clearTimeout(typing);
    search(form);
  });

  async function search(form) {
    const region = document.getElementById(form.dataset.search);
    const wanted = [...new FormData(form)].filter(([, value]) => value !== "");
    const query = new URLSearchParams(wanted).toString();
    region.dataset.region = `${region.dataset.region.split("?")[0]}?${query}`;
    history.replaceState(null, "", query ? `${form.getAttribute("action")}?${query}` : form.getAttribute("action"));
    if (!(await refresh(region)) || !form.dataset.coming) return;
    const list = document.getElementById(form.dataset.coming);
    const seen = region.querySelector("[data-id]")?.dataset.id ?? "";
    list.dataset.stream = `${list.dataset.stream.split("?")[0]}?${new URLSearchParams([...wanted, ["seen", seen]])}`;
    follow(list);
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const field = document.querySelector('input[type="search"]');
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  });

  // Buttons.

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button, a[data-load]");
    if (!button) return;
    if (button.dataset.load) {
      event.preventDefault();
      refresh(document.getElementById(button.dataset.load));
    }
    if (button.dataset.copy !== undefined || button.dataset.copyFrom) copy(button);
    if (button.dataset.reveal) reveal(button);
    if (button.dataset.again) follow(document.getElementById(button.dataset.again));
  });

  async function copy(button) {
    const text = button.dataset.copy ?? document.getElementById(button.dataset.copyFrom).textContent;
    const label = button.querySelector("span");
    try {
      await navigator.clipboard.writeText(text);
      label.textContent = "Copied";
      button.classList.add("done");
      say("Copied");
    } catch {
      label.textContent = "Not copied";
      say("Not copied: the browser refuses. Select the text, and copy it.");
    }
    setTimeout(() => {
      label.textContent = "Copy";
      button.classList.remove("done");
    }, 2 * SECOND);
  }

  // A secret is asked for when somebody wants to see it, and by POST alone.
  async function reveal(button) {
    const { reveal: address, method, into } = button.dataset;
    button.disabled = true;
    try {
      const html = await ask(address, { method });
      const region = document.getElementById(into);
      swap(region, html);
      region.querySelector("[data-reveal]")?.focus();
      say(method === "POST" ? "Shown" : "Hidden");
    } catch (error) {
      off(reason(error));
      button.disabled = false;
    }
  }

  // Live. Hidden pages let go: a browser has six connections for all of them.

  let events;

  function connect() {
    if (events || document.hidden || !document.querySelector("[data-live]")) return;
    events = new EventSource("/live");
    events.addEventListener("changed", () => {
      on();
      renew();
    });
    events.addEventListener("state", (event) => off(`Not live: ${JSON.parse(event.data).message}`));
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) {
        off("Not live: the console has ended. Start it again");
      } else {
        off("Not live: the console does not answer. Is it still running?");
      }
    });
  }

  function disconnect() {
    events?.close();
    events = undefined;
  }

  function on() {
    pulse.hidden = false;
    if (!pulse.classList.contains("live")) pulse.textContent = "Live";
    pulse.className = "pulse live";
    void pulse.offsetWidth; // so that the animation begins anew
    pulse.classList.add("beat");
  }

  function off(message) {
    pulse.hidden = false;
    if (pulse.textContent !== message) pulse.textContent = message;
    pulse.className = "pulse off";
  }

  document.addEventListener("visibilitychange", () => {
    for (const list of document.querySelectorAll("[data-stream][data-newest-first]")) {
      if (document.hidden) followed.get(list)?.close();
      else follow(list); // it has the address of what came since the page was made
    }
    if (document.hidden) disconnect();
    else connect();
  });
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", connect);

  // Lists that grow while their source finds more: each event is an item.

  const followed = new WeakMap();

  function follow(list) {
    followed.get(list)?.close();
    list.replaceChildren();
    // What never ends would never be said.
    if (!list.hasAttribute("data-newest-first")) list.setAttribute("aria-busy", "true");
    const source = new EventSource(list.dataset.stream);
    followed.set(list, source);
    source.addEventListener("item", (event) => {
      const template = document.createElement("template");
      template.innerHTML = event.data;
      localTimes(template.content);
      if (list.hasAttribute("data-newest-first")) list.prepend(template.content);
      else list.append(template.content);
    });
    const end = () => {
      source.close();
      list.removeAttribute("aria-busy");
    };
    const summary = document.getElementById(list.dataset.summary);
    if (summary) summary.textContent = "";
    source.addEventListener("end", (event) => {
      end();
      if (summary) summary.textContent = event.data;
    });
    if (list.hasAttribute("data-newest-first")) source.addEventListener("open", on);
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED || !list.hasAttribute("data-newest-first")) {
        end();
        off("The console does not answer. Is it still running?");
      } else {
        off("Not live: the console does not answer. Is it still running?");
      }
    });
  }

  localTimes(document);
  begin(document);
  for (const list of document.querySelectorAll("[data-stream]")) follow(list);
  connect();
})();
