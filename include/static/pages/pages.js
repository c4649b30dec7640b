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

  const refresh = async () => {
    const main = document.getElementById("content");
    const busy = document.hidden || main.contains(document.activeElement?.closest("input, select, textarea"));
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
