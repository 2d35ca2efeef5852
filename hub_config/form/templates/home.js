// The hub's home: stops the session, and keeps what the page says up to date.
"use strict";

{
  const CALM_MS = 15000;
  const BUSY_MS = 1500;
  const AWAY = [502, 503, 504];
  const { base_url, user, xsrf_token } = window.jhdata;
  const ask = document.getElementById("ask");
  const trouble = document.getElementById("trouble");
  let next = 0;
  let isStopping = false;

  const say = (words) => {
    trouble.textContent = words;
    trouble.hidden = words === "";
  };

  // Widths are set here: a style in the markup would have to be allowed.
  const draw = () => {
    for (const bar of document.querySelectorAll("[data-percent]")) {
      bar.style.width = `${bar.dataset.percent}%`;
    }
  };

  const getState = () => document.getElementById("session").dataset.state;

  // Take over from the page as it is now what has changed.
  const put = (fresh) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const part = fresh.getElementById(old.id);
      if (part && part.dataset.html !== old.dataset.html && !isHeld(old, part)) {
        old.replaceWith(part);
      }
    }
    draw();
  };

  // Nobody's keyboard is led away, unless what it is on is over.
  const isHeld = (old, part) =>
    old.contains(document.activeElement) && old.dataset.state === part.dataset.state;

  // What a part was when it came: widths and marks of ours are not news.
  const mark = (page) => {
    for (const part of page.querySelectorAll("[data-live]")) {
      part.dataset.html = part.innerHTML.replace(/name="_xsrf" value="[^"]*"/, "");
    }
    return page;
  };

  const look = async () => {
    clearTimeout(next);
    if (!document.hidden) {
      try {
        const answer = await fetch(location.pathname, { cache: "no-store", redirect: "manual" });
        if (answer.type === "opaqueredirect") {
          // Signed out: the hub asks who this is.
          location.reload();
        } else if (answer.ok) {
          put(mark(new DOMParser().parseFromString(await answer.text(), "text/html")));
          say("");
        } else if (AWAY.includes(answer.status)) {
          say("The hub cannot be reached at the moment. Sessions and jobs run on.");
        }
      } catch {
        // Nothing answers: what is shown stays.
      }
    }
    const isCalm = ["running", "none"].includes(getState()) && !isStopping;
    next = setTimeout(look, isCalm ? CALM_MS : BUSY_MS);
  };

  const stop = async () => {
    isStopping = true;
    document.getElementById("stop").disabled = true;
    try {
      const answer = await fetch(`${base_url}api/users/${encodeURIComponent(user)}/server`, {
        method: "DELETE",
        headers: { "X-XSRFToken": xsrf_token },
      });
      if (!answer.ok && answer.status !== 404) {
        const why = await answer.json().catch(() => ({}));
        throw new Error(why.message || "the hub did not say why");
      }
      await look();
    } catch (error) {
      say(`The session could not be stopped: ${error.message}. Try again in a moment.`);
      document.getElementById("stop")?.removeAttribute("disabled");
    }
    isStopping = false;
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("#stop")) {
      ask.returnValue = "no";
      ask.showModal();
    }
  });
  ask.addEventListener("close", () => ask.returnValue === "yes" && stop());
  document.addEventListener("visibilitychange", () => !document.hidden && look());

  mark(document);
  draw();
  next = setTimeout(look, getState() === "running" || getState() === "none" ? CALM_MS : BUSY_MS);
}
