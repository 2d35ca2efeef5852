// Light, dark, or as the system: one choice for all pages, of hub and jobs service. It is a cookie,
// for the two may have hosts of their own. Runs before the page is drawn; closes menus, too.
"use strict";

{
  const NAME = "notebook-hpc-theme";
  const WORDS = { system: "as the system", light: "light", dark: "dark" };
  const NEXT = { system: "light", light: "dark", dark: "system" };
  const YEAR_SECONDS = 365 * 24 * 3600;
  const domain = document.currentScript.dataset.domain;
  const system = matchMedia("(prefers-color-scheme: dark)");

  const read = () => {
    const found = document.cookie.match(new RegExp(`(?:^|; )${NAME}=(light|dark)(?:;|$)`));
    return found ? found[1] : "system";
  };

  const apply = () => {
    const choice = read();
    const theme = choice === "system" ? (system.matches ? "dark" : "light") : choice;
    document.documentElement.dataset.bsTheme = theme;
    const button = document.getElementById("theme");
    if (button) {
      button.ariaLabel = button.title = `Theme: ${WORDS[choice]}`;
    }
  };

  const change = () => {
    const choice = NEXT[read()];
    const age = choice === "system" ? 0 : YEAR_SECONDS;
    const place = domain ? `; domain=${domain}` : "";
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `${NAME}=${choice}; path=/; max-age=${age}; samesite=lax${place}${secure}`;
    apply();
    // A notebook is drawn by the service, which reads the choice when it is loaded.
    for (const frame of document.querySelectorAll("iframe")) {
      frame.replaceWith(frame.cloneNode());
    }
  };

  const closeMenus = (event) => {
    for (const menu of document.querySelectorAll("details.account[open]")) {
      if (event.key === "Escape" || (event.type === "click" && !menu.contains(event.target))) {
        menu.open = false;
      }
    }
  };

  apply();
  system.addEventListener("change", apply);
  // Chosen in another tab.
  document.addEventListener("visibilitychange", apply);
  document.addEventListener("click", closeMenus);
  document.addEventListener("keydown", closeMenus);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme")?.addEventListener("click", change);
    apply();
  });
}
