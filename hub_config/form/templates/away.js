// The page in the place of one that does not answer: says which, and goes back as soon as it does.
"use strict";

{
  const LOOK_MS = 3000;
  const AWAY = [502, 503, 504];
  const say = (id, text) => {
    document.getElementById(id).textContent = text;
  };

  if (location.pathname.includes("/services/offline-jobs/")) {
    say("away-what", "The jobs service is away for a moment");
    say("away-meaning", "Jobs run on, and what was submitted is kept.");
  } else if (location.pathname.includes("/user/")) {
    say("away-what", "This session does not answer");
    say("away-meaning", "It may just have ended, or its machine is busy. Offline jobs do not depend on it.");
  }

  const look = async () => {
    try {
      const answer = await fetch(location.href, { cache: "no-store", redirect: "manual" });
      if (!AWAY.includes(answer.status)) {
        location.reload();
        return;
      }
    } catch {
      // Not even the proxy answers.
    }
    setTimeout(look, LOOK_MS);
  };

  setTimeout(look, LOOK_MS);
}
