// The page in the place of one that does not answer: says which, and goes back as soon as it does.
"use strict";

{
  const LOOK_MS = 3000;
  const AWAY = [502, 503, 504];
  const say = (what, meaning) => {
    document.getElementById("away-what").textContent = what;
    document.getElementById("away-meaning").textContent = meaning;
  };

  if (location.pathname.startsWith("/services/offline-jobs/")) {
    say("The jobs service is away for a moment", "Jobs run on, and what was submitted is kept.");
  } else if (location.pathname.startsWith("/user/")) {
    say(
      "This session does not answer",
      "It may just have ended, its machine may be busy, or the hub away. Offline jobs do not depend on it.",
    );
  } else if (!location.pathname.startsWith("/services/")) {
    // The hub has whatever nobody else has.
    say("The hub is away for a moment", "Sessions and jobs run on.");
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
