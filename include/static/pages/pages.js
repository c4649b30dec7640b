"use strict";
// Theme, language, links out of Airflow's frame, and new content without a new page. Pages work without it.
(() => {
  const THEME = "operations.theme";
  const read = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage is switched off
    }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // What was chosen here, else what was chosen in Airflow's own pages, else the system's.
  const chosen = () => [read(THEME), read("theme")].find((one) => one === "light" || one === "dark");
  const apply = () => {
    document.documentElement.dataset.theme = chosen() || (dark.matches ? "dark" : "light");
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);

  const framed = window.parent !== window;

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.hasAttribute("data-keep")) {
      // The switch of language keeps what was searched for.
      const query = new URLSearchParams(location.search);
      query.set("lang", new URL(link.href).searchParams.get("lang"));
      link.search = query.toString();
    }
    if (framed && link.hasAttribute("data-airflow")) {
      // Airflow's frame may not leave itself; a link of the page around it may.
      event.preventDefault();
      const outer = parent.document.createElement("a");
      outer.href = link.href;
      parent.document.body.append(outer);
      outer.click();
      outer.remove();
    }
  });

  // A file may be dropped anywhere on its field's frame; once chosen it is sent for its check.
  const dropped = (event) => event.target.closest?.(".drop");
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      const place = dropped(event);
      if (!place) return;
      event.preventDefault();
      place.classList.toggle("over", name === "dragenter" || name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length === 1) {
        const field = place.querySelector("input");
        field.files = event.dataTransfer.files;
        field.dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
  }
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-at-once]");
    if (form && event.target.files?.length === 1) form.requestSubmit();
  });
  // One click, one run.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
  addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((one) => delete one.dataset.sent);
  });

  // A place of the map of hours leads to the draws of its hour, also where it is drawn together with others.
  document.addEventListener("click", (event) => {
    const map = event.target.closest("svg[data-first]");
    if (!map || event.target.closest("a")) return;
    const box = map.getBoundingClientRect();
    const unit = map.viewBox.baseVal.width / box.width;
    const column = Math.floor(((event.clientX - box.left) * unit - map.dataset.left) / map.dataset.stepX);
    const hour = Math.floor(((event.clientY - box.top) * unit - map.dataset.top) / map.dataset.stepY);
    if (column < 0 || hour < 0 || hour > 23) return;
    const day = new Date(`${map.dataset.first}T00:00:00Z`);
    day.setUTCDate(day.getUTCDate() + column);
    location.href = `${map.dataset.href}?at=${day.toISOString().slice(0, 10)}T${String(hour).padStart(2, "0")}`;
  });

  const refresh = async () => {
    const main = document.getElementById("content");
    const typed = [...main.querySelectorAll("input:not([type=hidden])")].some((one) => one.value !== one.defaultValue);
    const busy = document.hidden || typed || main.contains(document.activeElement?.closest("input, select, textarea"));
    if (!busy) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("content");
        if (!fresh) throw new Error("no page");
        const open = [...main.querySelectorAll("details[open][id]")].map((one) => one.id);
        const scrolled = [...main.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
        const all = () => [...main.querySelectorAll("a, button, summary, .scroll")];
        const focused = all().indexOf(document.activeElement);
        main.replaceChildren(...fresh.childNodes);
        open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
        main.querySelectorAll(".scroll").forEach((one, at) => { one.scrollLeft = scrolled[at] || 0; });
        if (focused >= 0) all()[focused]?.focus({ preventScroll: true });
        main.dataset.refresh = fresh.dataset.refresh || "";
        document.getElementById("offline").hidden = true;
      } catch {
        document.getElementById("offline").hidden = false;
      }
    }
    again();
  };
  const again = () => {
    const seconds = Number(document.getElementById("content").dataset.refresh);
    if (seconds) setTimeout(refresh, seconds * 1000);
  };

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      try {
        localStorage.setItem(THEME, next);
      } catch {
        // It holds for this page only.
      }
      document.documentElement.dataset.theme = next;
    });
    again();
  });
})();
