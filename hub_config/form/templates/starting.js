// The page of a start: its sentences as they come, for how long it has taken, and a way out.
"use strict";

{
  const LOOK_MS = 3000;
  // A proxy may hold a stream whose hub has died, and tell nobody: so it is opened anew.
  const STREAM_MS = 30000;
  // By these a proxy says that the hub is away.
  const AWAY = [502, 503, 504];
  const bar = document.getElementById("progress-bar");
  const message = document.getElementById("progress-message");
  const log = document.getElementById("progress-log");
  const cancel = document.getElementById("cancel-start");
  const headers = { "X-XSRFToken": window.jhdata.xsrf_token };
  // Set while somebody leaves by the button, and once the start has failed: nothing is news then.
  let isOver = false;
  let isAway = false;
  let source = null;
  let again = 0;
  let next = 0;
  let last = "";
  let usual = "";

  const show = (news) => {
    if (news.progress !== undefined) {
      bar.style.width = `${news.progress}%`;
      bar.setAttribute("aria-valuenow", news.progress);
    }
    usual = news.usual ?? usual;
    const text = news.message ?? "";
    if (text && text !== last) {
      last = text;
      const line = document.createElement("div");
      line.className = "progress-log-event";
      line.textContent = text;
      log.append(line);
    }
    message.textContent = last;
    if (news.failed) {
      isOver = true;
      bar.classList.add("bad");
      document.getElementById("progress-details").open = true;
      cancel.hidden = true;
    }
  };

  const listen = () => {
    source?.close();
    clearTimeout(again);
    source = new EventSource(START.news);
    again = setTimeout(listen, STREAM_MS);
    source.onmessage = (event) => {
      const news = JSON.parse(event.data);
      if (!isOver && news.ready) {
        isOver = true;
        location.reload();
      } else if (!isOver && (news.progress !== 0 || !last)) {
        // The first words of each stream say nothing.
        show(news);
      }
      if (isOver) {
        clearTimeout(again);
        source.close();
      }
    };
    source.onerror = () => source.close();
  };

  // Whether it still starts. What there is instead is shown by the hub: the session, or why not.
  const look = async () => {
    let answer = null;
    try {
      answer = await fetch(START.user, { headers, cache: "no-store" });
    } catch {
      // It is away.
    }
    if (isOver) {
      return;
    }
    if (answer === null || AWAY.includes(answer.status)) {
      isAway = true;
      message.textContent = "The hub cannot be reached at the moment; the start goes on.";
    } else {
      const model = answer.ok ? await answer.json() : {};
      if (isAway || !["spawn", "check"].includes(model.servers?.[""]?.pending)) {
        location.reload();
        return;
      }
    }
    lookLater();
  };

  const lookLater = () => {
    clearTimeout(next);
    next = setTimeout(look, LOOK_MS);
  };

  const tick = () => {
    const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(START.begun)) / 1000));
    const minutes = Math.floor(seconds / 60);
    const words = minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
    document.getElementById("elapsed").textContent = [`${words} so far`, usual].filter(Boolean).join(", ");
  };

  cancel.addEventListener("click", async () => {
    cancel.disabled = isOver = true;
    message.textContent = "Cancelling…";
    try {
      const answer = await fetch(START.server, { method: "DELETE", headers });
      if (answer.ok || answer.status === 404) {
        location.assign(START.home);
        return;
      }
    } catch {
      // Told below.
    }
    message.textContent = "It could not be cancelled at the moment. Try again.";
    cancel.disabled = isOver = false;
    listen();
    lookLater();
  });

  if (START.begun) {
    tick();
    setInterval(tick, 1000);
  }
  listen();
  lookLater();
  // Tests wait for it, as on JupyterHub's own page.
  window._jupyterhub_page_loaded = true;
}
