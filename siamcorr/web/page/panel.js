// The controls beside the picture: what is shown there, from what the server says.

import { colorOf } from "./view.js";

export const element = (id) => document.getElementById(id);

// Fill a list of choices with names, one of them chosen.
export function choices(select, names, chosen) {
  select.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
  select.disabled = names.length < 2;
}

// Of some buttons, show one as the chosen one.
export function lightUp(ids, chosen) {
  for (const id of ids) element(id).classList.toggle("on", id === chosen);
}

// A line under the picture, for what went wrong; none takes it away.
export function say(text = "") {
  element("message").textContent = text;
  element("message").hidden = !text;
}

// A line over the picture, for what to do next.
export function hint(text = "") {
  element("hint").textContent = text;
  element("hint").hidden = !text;
}

// The list of targets; remove(number) is called by their buttons.
export function listTargets(targets, remove) {
  const list = element("targets");
  const known = new Map([...list.children].map((item) => [Number(item.dataset.number), item]));
  const items = targets.map((target) => {
    const item = known.get(target.number) ?? newItem(target.number, remove);
    item.querySelector(".lost").hidden = !target.lost;
    item.querySelector(".score").textContent = target.score?.toFixed(2) ?? "";
    return item;
  });
  // Items stay where they are: a button that is replaced could not be clicked.
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
  button.setAttribute("aria-label", `Forget target ${number + 1}`);
  button.addEventListener("click", () => remove(number));
  item.append(dot, part("name", `Target ${number + 1}`), part("lost", "lost"),
    part("score", ""), button);
  return item;
}
