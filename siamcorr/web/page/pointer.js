// Draw boxes with mouse, pen or finger.

const SMALLEST = 6; // pixels on the screen; a shorter drag is a click

// Calls begin() at the start of a box, move(box) while it is drawn, and end(box) at the end;
// box is [x, y, w, h] in frame pixels, null for a click.
export function drawBoxes(canvas, { begin, move, end }) {
  let start = null;

  canvas.addEventListener("pointerdown", (event) => {
    if (!canvas.classList.contains("drawable") || !event.isPrimary || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    start = place(canvas, event);
    begin();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (start && event.isPrimary) move(boxBetween(start, place(canvas, event)));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!start || !event.isPrimary) return;
    const box = boxBetween(start, place(canvas, event));
    const least = SMALLEST * frameRectangle(canvas).pixel;
    start = null;
    end(Math.min(box[2], box[3]) < least ? null : box);
  });
  canvas.addEventListener("pointercancel", () => {
    if (start) end(null);
    start = null;
  });
}

// Position of the frame in the canvas element, which may have bars beside or above the frame.
function frameRectangle(canvas) {
  const shown = canvas.getBoundingClientRect();
  const pixel = Math.max(canvas.width / shown.width, canvas.height / shown.height);
  return {
    pixel, // frame pixels per screen pixel
    left: shown.left + (shown.width - canvas.width / pixel) / 2,
    top: shown.top + (shown.height - canvas.height / pixel) / 2,
  };
}

function place(canvas, event) {
  const { pixel, left, top } = frameRectangle(canvas);
  const clamp = (value, most) => Math.min(Math.max(value, 0), most);
  return [
    clamp((event.clientX - left) * pixel, canvas.width),
    clamp((event.clientY - top) * pixel, canvas.height),
  ];
}

function boxBetween([x, y], [u, v]) {
  return [Math.min(x, u), Math.min(y, v), Math.abs(u - x), Math.abs(v - y)];
}
