// The page: sends frames from a source to the server, one at a time, and shows the boxes.

import { Connection } from "./connection.js";
import { Curve } from "./curve.js";
import { element, hint, lightUp, listTargets, offer, say } from "./panel.js";
import { Player } from "./player.js";
import { drawBoxes } from "./pointer.js";
import { Recorder, Table } from "./saving.js";
import { openCamera, openClip, openFile } from "./sources.js";
import { View } from "./view.js";

const view = new View(element("view"));
const curve = new Curve(element("curve"));
const table = new Table();
const recorder = new Recorder(element("view"));
const connection = new Connection(disconnected);
const player = new Player({ opened, shot, paused, ended, failed });

let server = null; // the server's first message: models, devices, limits
let network = null; // the model and device in use
let shown = null; // the frame on screen, which is the server's last one
let targets = [];
let pace = { since: 0, rate: 0 }; // time of the last frame (ms), frames per second (smoothed)

// Connect, unless the page is connected; done when the server's first message is here.
async function connect() {
  const first = await connection.open();
  if (first === server) return;
  server = first;
  offer(server);
  useNetwork(server);
  if (element("maps").checked) await connection.ask({ type: "maps", on: true });
}

function disconnected(text) {
  element("status").textContent = "Not connected";
  failed(new Error(text));
}

function useNetwork({ model, device, lost_below: limit }) {
  network = { model, device };
  element("status").textContent = `${model} on ${device}`;
  element("scale").textContent = limit > 0 ? `A target with a score below ${limit} is lost.` : "";
  curve.setLimit(limit);
}

async function chooseNetwork() {
  const [model, device] = [element("model").value, element("device").value];
  element("status").textContent = `Loading ${model}…`;
  try {
    useNetwork(await connection.ask({ type: "model", model, device }));
  } catch (error) {
    say(error.message);
    element("status").textContent = `${network.model} on ${network.device}`;
    offer({ ...server, ...network });
  }
}

// Sources

async function choose(id, open) {
  await attempt(async () => {
    await connect();
    const source = await open(server);
    lightUp(["camera", "file", "clip"], id);
    await player.open(source);
  });
}

async function opened() {
  if (recorder.running) record();
  shown = null;
  pace = { since: 0, rate: 0 };
  setTargets([]);
  curve.clear();
  table.clear();
  for (const id of ["csv", "record", "pause"]) element(id).disabled = false;
  hint();
  await connection.ask({ type: "clear" });
}

async function shot(next, source) {
  const { targets: found, ms } = await connection.ask(next.blob);
  if (player.source !== source) return;
  setTargets(found);
  view.show(next.image, found);
  if (!shown) {
    element("view").classList.add("drawable");
    hint("Draw a box around a target.");
  }
  shown = next;
  if (found.length) curve.add(found);
  for (const target of found) table.add(next, source.scale, target);
  const now = performance.now();
  const rate = 1000 / (now - pace.since);
  pace = { since: now, rate: pace.rate ? 0.9 * pace.rate + 0.1 * rate : rate };
  const work = found.length ? `, network ${ms.toFixed(0)} ms` : "";
  if (!player.paused) element("speed").textContent = `${pace.rate.toFixed(0)} frames/s${work}`;
}

function paused(value) {
  element("pause").textContent = value ? "Play" : "Pause";
  if (value) element("speed").textContent = "";
}

function ended() {
  hint("The end. Choose the source again to start over.");
  element("pause").disabled = true;
  element("view").classList.remove("drawable");
}

function failed(error) {
  say(error.message);
  player.setPaused(true);
}

// Targets

function setTargets(found) {
  targets = found;
  listTargets(found, (number) => attempt(() => remove([number])));
}

// Add a target in the frame on screen; the first target starts playing.
async function add(box) {
  const added = await connection.ask({ type: "add", box });
  const first = targets.length === 0;
  showTargets([...targets, added]);
  table.add(shown, player.source.scale, added);
  hint();
  if (first) await player.setPaused(false);
}

async function remove(numbers) {
  for (const number of numbers) await connection.ask({ type: "remove", number });
  showTargets(targets.filter(({ number }) => !numbers.includes(number)));
}

function showTargets(left) {
  setTargets(left);
  view.targets = left;
  view.draw();
}

drawBoxes(element("view"), {
  begin: () => player.hold(),
  move: (box) => view.drawBox(box),
  async end(box) {
    view.drawBox(null);
    await attempt(async () => {
      try {
        if (box && shown) await add(box);
      } finally {
        await player.release();
      }
    });
  },
});

// Buttons

async function attempt(action) {
  say();
  try {
    await action();
  } catch (error) {
    say(error.message);
  }
}

function record() {
  if (recorder.running) recorder.stop();
  else recorder.start();
  element("record").textContent = recorder.running ? "Stop and save" : "Record video";
  element("record").classList.toggle("on", recorder.running);
}

function when(id, event, action) {
  element(id).addEventListener(event, () => attempt(action));
}

when("camera", "click", () => choose("camera", openCamera));
when("clip", "click", () => choose("clip", openClip));
when("file", "click", () => element("video").click());
when("video", "change", async () => {
  const [file] = element("video").files;
  element("video").value = ""; // so that the same file can be chosen again
  if (file) await choose("file", (limits) => openFile(file, limits));
});
when("pause", "click", () => player.setPaused(!player.paused));
when("clear", "click", () => remove(targets.map(({ number }) => number)));
when("csv", "click", () => table.save());
when("record", "click", record);
when("maps", "change", () => connection.ask({ type: "maps", on: element("maps").checked }));
when("model", "change", chooseNetwork);
when("device", "change", chooseNetwork);
window.addEventListener("resize", () => curve.draw());

connect().catch((error) => say(error.message));
