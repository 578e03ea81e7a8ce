// The controls beside the picture.

import { colorOf } from "./view.js";

export const element = (id) => document.getElementById(id);

// Offer the server's models and devices.
export function offer({ models, model, devices, device }) {
  choices(element("model"), models, model);
  choices(element("device"), devices, device);
}

// Fill a select element with names and choose one of them.
function choices(select, names, chosen) {
  select.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
  select.disabled = names.length < 2;
}

// Highlight one of several buttons.
export function lightUp(ids, chosen) {
  for (const id of ids) element(id).classList.toggle("on", id === chosen);
}

// Show an error below the picture; without a text, hide it.
export function say(text = "") {
  element("message").textContent = text;
  element("message").hidden = !text;
}

// Show a hint over the picture; without a text, hide it.
export function hint(text = "") {
  element("hint").textContent = text;
  element("hint").hidden = !text;
}

// Show the list of targets; their buttons call remove(number).
export function listTargets(targets, remove) {
  const list = element("targets");
  const known = new Map([...list.children].map((item) => [Number(item.dataset.number), item]));
  const items = targets.map((target) => {
    const item = known.get(target.number) ?? newItem(target.number, remove);
    item.querySelector(".lost").hidden = !target.lost;
    item.querySelector(".score").textContent = target.score?.toFixed(2) ?? "";
    return item;
  });
  // Keep existing items: a button that is replaced during a click would miss it.
  if (items.length !== known.size || items.some((item) => !item.parentNode)) {
    list.replaceChildren(...items);
  }
  element("none").hidden = targets.length > 0;
  element("clear").disabled = targets.length === 0;
}

function newItem(number, remove) {
  const item = document.createElement("li");
  item.dataset.number = number;
  const part = (name, text) => {
    const span = document.createElement("span");
    span.className = name;
    span.textContent = text;
    return span;
  };
  const dot = part("dot", "");
  dot.style.background = colorOf(number);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "×";
  button.setAttribute("aria-label", `Remove target ${number + 1}`);
  button.addEventListener("click", () => remove(number));
  item.append(dot, part("name", `Target ${number + 1}`), part("lost", "lost"),
    part("score", ""), button);
  return item;
}
