// The picture: a frame with boxes, response maps, and the box that the user is drawing.

export const COLORS = [
  "#22c55e", "#f59e0b", "#38bdf8", "#e879f9", "#facc15", "#fb7185", "#2dd4bf", "#a78bfa",
];

export const colorOf = (number) => COLORS[number % COLORS.length];

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.still = document.createElement("canvas"); // the frame without boxes
    this.targets = [];
    this.drawn = null; // the box that the user is drawing
  }

  // Show a frame with its targets, as the server describes them.
  show(image, targets) {
    for (const canvas of [this.canvas, this.still]) {
      if (canvas.width !== image.width) canvas.width = image.width;
      if (canvas.height !== image.height) canvas.height = image.height;
    }
    this.still.getContext("2d").drawImage(image, 0, 0);
    this.targets = targets;
    this.draw();
  }

  // Show the box that the user is drawing, or none.
  drawBox(box) {
    this.drawn = box;
    this.draw();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    context.drawImage(this.still, 0, 0);
    // The line width on screen must not depend on the size of the frame.
    const { width, height, clientWidth, clientHeight } = this.canvas;
    const pixel = Math.max(width / clientWidth, height / clientHeight);
    for (const target of this.targets) if (target.map) drawMap(context, target.map);
    for (const target of this.targets) drawTarget(context, target, pixel);
    if (this.drawn) {
      context.setLineDash([6 * pixel, 4 * pixel]);
      stroke(context, this.drawn, "#ffffff", pixel);
      context.setLineDash([]);
    }
  }
}

function drawTarget(context, { number, box, score, lost }, pixel) {
  const color = colorOf(number);
  context.setLineDash(lost ? [8 * pixel, 6 * pixel] : []);
  stroke(context, box, color, pixel);
  context.setLineDash([]);
  const text = score === undefined ? `${number + 1}` : `${number + 1}  ${score.toFixed(2)}`;
  const label = lost ? `${text}  lost` : text;
  context.font = `600 ${13 * pixel}px system-ui, sans-serif`;
  const width = context.measureText(label).width + 10 * pixel;
  const height = 19 * pixel;
  const { width: wide, height: high } = context.canvas;
  const x = Math.min(Math.max(box[0], 0), Math.max(wide - width, 0));
  const above = box[1] - height;
  const y = above >= 0 ? above : Math.min(Math.max(box[1] + box[3], 0), high - height);
  context.fillStyle = color;
  context.fillRect(x, y, width, height);
  context.fillStyle = "#0b0f0c";
  context.textBaseline = "middle";
  context.fillText(label, x + 5 * pixel, y + height / 2 + pixel);
}

// Draw a box with a dark outline, so that it is visible on any background.
function stroke(context, box, color, pixel) {
  for (const [style, width] of [["#000a", 5], [color, 2.5]]) {
    context.strokeStyle = style;
    context.lineWidth = width * pixel;
    context.strokeRect(...box);
  }
}

function drawMap(context, { cells, region, data }) {
  const scores = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const small = new OffscreenCanvas(cells, cells);
  const pixels = new ImageData(cells, cells);
  scores.forEach((score, cell) => pixels.data.set(heat(score / 255), 4 * cell));
  small.getContext("2d").putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(small, ...region);
}

// RGBA of a score: blue and nearly transparent at 0, then yellow, red at 1.
function heat(score) {
  const part = (middle) => 255 * Math.min(1, Math.max(0, 1.6 - Math.abs(score - middle) * 3.2));
  return [part(0.9), part(0.55), part(0.15), 30 + 160 * score];
}
