// Helps to choose: hides machines that the charged group may not use, disables those that do not
// go with the image, and sums up. Without it everything is shown; the hub checks what is sent.
(function () {
  "use strict";
  const group = document.getElementById("nh-group");
  const cards = [...document.querySelectorAll("#nh-class .pick")];
  const start = document.querySelector("#spawn_form [type=submit]");
  // A reason that the hub wrote is about this machine and does not change with the choice.
  const fixed = new Map(cards.map((card) => [card, card.querySelector(".why-not").textContent]));

  function refresh() {
    const image = document.querySelector("#nh-image input:checked");
    for (const card of cards) {
      const input = card.querySelector("input");
      const why = card.querySelector(".why-not");
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
    sumUp(image);
  }

  function sumUp(image) {
    const card = cards.find((each) => each.querySelector("input:checked:enabled"));
    const isWhole = Boolean(image && !image.disabled && card);
    document.getElementById("nh-facts").hidden = !isWhole;
    const name = (row) => row.querySelector("b").textContent;
    document.getElementById("nh-sum").textContent = isWhole
      ? `${name(image.closest(".pick"))} on ${name(card)}`
      : "Your choice";
    if (isWhole) {
      const read = (selector) => card.querySelector(selector)?.textContent ?? "";
      const figures = [...card.querySelectorAll(".figures > span")].map((each) => each.textContent);
      put("nh-gets", figures.join(", "));
      put("nh-costs", read(".price"));
      put("nh-ends", read(".ends"));
    }
  }

  // What is not known is left out, its name too.
  function put(id, text) {
    const place = document.getElementById(id);
    place.textContent = text;
    place.hidden = place.previousElementSibling.hidden = text === "";
  }

  for (const place of document.querySelectorAll("#nh-image, #nh-class")) {
    place.addEventListener("change", refresh);
  }
  if (group) {
    group.addEventListener("change", refresh);
  }
  // A browser that goes back in history restores the fields after this script ran.
  window.addEventListener("pageshow", refresh);
  refresh();
})();
