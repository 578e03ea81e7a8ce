// Plot of the scores of the last frames, one line per target.

import { colorOf } from "./view.js";

const LENGTH = 240; // frames

export class Curve {
  constructor(canvas) {
    this.canvas = canvas;
    this.limit = 0;
    this.clear();
  }

  clear() {
    this.frames = []; // one Map per frame, from target to score
    this.draw();
  }

  add(targets) {
    this.frames.push(new Map(targets.map(({ number, score }) => [number, score])));
    if (this.frames.length > LENGTH) this.frames.shift();
    this.draw();
  }

  // A target with a score below the limit is lost; the limit is drawn as a dashed line.
  setLimit(limit) {
    this.limit = limit;
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const left = 26;
    const x = (frame) => left + ((width - left - 2) * frame) / (LENGTH - 1);
    const y = (score) => height - 8 - (height - 16) * score;
    this.grid(context, left, width, y);
    const numbers = new Set(this.frames.flatMap((scores) => [...scores.keys()]));
    for (const number of numbers) {
      context.strokeStyle = colorOf(number);
      context.lineWidth = 2;
      context.beginPath();
      let drawing = false;
      this.frames.forEach((scores, frame) => {
        const score = scores.get(number);
        if (score !== undefined) context[drawing ? "lineTo" : "moveTo"](x(frame), y(score));
        drawing = score !== undefined;
      });
      context.stroke();
    }
  }

  grid(context, left, width, y) {
    const style = getComputedStyle(document.documentElement);
    context.strokeStyle = style.getPropertyValue("--line");
    context.fillStyle = style.getPropertyValue("--quiet");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    const line = (score) => {
      context.beginPath();
      context.moveTo(left, y(score));
      context.lineTo(width, y(score));
      context.stroke();
    };
    for (const score of [0, 0.5, 1]) {
      line(score);
      context.fillText(score.toFixed(1), 2, y(score));
    }
    if (this.limit > 0) {
      context.strokeStyle = style.getPropertyValue("--bad");
      context.setLineDash([4, 4]);
      line(this.limit);
      context.setLineDash([]);
    }
  }
}
