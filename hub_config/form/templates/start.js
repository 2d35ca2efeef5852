// Helps to choose: hides machines that the charged group may not use, disables those that do not
// go with the image. Without it everything is shown; the hub checks what is sent in any case.
(function () {
  "use strict";
  const group = document.getElementById("nh-group");
  const cards = [...document.querySelectorAll("#nh-class .nh-card")];
  const start = document.querySelector(".nh-primary");
  // A reason that the hub wrote is about this machine and does not change with the choice.
  const fixed = new Map(cards.map((card) => [card, card.querySelector(".nh-why").textContent]));

  function refresh() {
    const image = document.querySelector("#nh-image input:checked");
    for (const card of cards) {
      const input = card.querySelector("input");
      const why = card.querySelector(".nh-why");
      const conflicts = JSON.parse(card.dataset.conflicts || "{}");
      const reason = fixed.get(card) || (image && conflicts[image.value]) || "";
      card.hidden = Boolean(group) && !card.dataset.groups.split(" ").includes(group.value);
      input.disabled = card.hidden || reason !== "";
      why.textContent = reason;
      why.hidden = reason === "";
    }
    const possible = cards.map((card) => card.querySelector("input")).filter((i) => !i.disabled);
    if (!possible.some((input) => input.checked) && possible.length > 0) {
      possible[0].checked = true;
    }
    start.disabled = !image || image.disabled || possible.length === 0;
  }

  document.getElementById("nh-image").addEventListener("change", refresh);
  if (group) {
    group.addEventListener("change", refresh);
  }
  // A browser that goes back in history restores the fields after this script ran.
  window.addEventListener("pageshow", refresh);
  refresh();
})();
