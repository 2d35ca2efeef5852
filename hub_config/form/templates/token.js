// The page of tokens: makes and revokes them, by the hub's REST API.
"use strict";

{
  const { base_url, user, xsrf_token } = window.jhdata;
  const trouble = document.getElementById("trouble");
  const tokens = `${base_url}api/users/${encodeURIComponent(user)}/tokens`;

  const ask = async (method, url, body) => {
    trouble.hidden = true;
    const answer = await fetch(url, {
      method,
      body: body && JSON.stringify(body),
      headers: { "X-XSRFToken": xsrf_token, "Content-Type": "application/json" },
    });
    if (!answer.ok) {
      const why = await answer.json().catch(() => ({}));
      throw new Error(why.message || `The hub answered ${answer.status}. Try again in a moment.`);
    }
    return answer;
  };

  const act = async (button, work) => {
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
    button.disabled = false;
  };

  const request = document.getElementById("request");
  request.addEventListener("submit", (event) => {
    event.preventDefault();
    const read = (id) => document.getElementById(id).value.trim();
    const scopes = read("token-scopes").split(/[\s,]+/).filter(Boolean);
    const body = {
      note: read("token-note") || "Made on the page of tokens",
      expires_in: parseInt(read("token-expires")) || null,
      ...(scopes.length && { scopes }),
    };
    act(request.querySelector("[type=submit]"), async () => {
      const made = await (await ask("POST", tokens, body)).json();
      document.getElementById("token").textContent = made.token;
      document.getElementById("made").hidden = false;
    });
  });

  for (const row of document.querySelectorAll("[data-token]")) {
    const button = row.querySelector("button");
    button.addEventListener("click", () => {
      // What a click may break is asked for twice.
      if (!button.classList.contains("danger")) {
        button.classList.add("danger");
        button.textContent = "Revoke now";
        return;
      }
      act(button, async () => {
        await ask("DELETE", `${tokens}/${encodeURIComponent(row.dataset.token)}`);
        row.remove();
      });
    });
    button.addEventListener("blur", () => {
      button.classList.remove("danger");
      button.textContent = "Revoke";
    });
  }

  for (const each of document.querySelectorAll("time")) {
    each.title = each.textContent;
    each.textContent = new Date(each.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}
