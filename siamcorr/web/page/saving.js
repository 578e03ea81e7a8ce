// Downloads: the boxes as a table, the picture as a video.

const TYPES = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];

// Boxes in pixels of the original video, frame numbers from 0, time in seconds.
export class Table {
  constructor() {
    this.clear();
  }

  clear() {
    this.lines = ["frame,time,x,y,w,h,score,target,lost"];
  }

  get empty() {
    return this.lines.length === 1;
  }

  add({ frame, time }, scale, { number, box, score = 1, lost = false }) {
    const sides = box.map((side, index) => (side * scale[index % 2]).toFixed(3));
    const row = [frame, time.toFixed(4), ...sides, score.toFixed(4), number, Number(lost)];
    this.lines.push(row.join(","));
  }

  save() {
    download(new Blob([`${this.lines.join("\n")}\n`], { type: "text/csv" }), "boxes.csv");
  }
}

// The browser records the canvas, so the server need not store or encode frames.
export class Recorder {
  constructor(canvas) {
    this.canvas = canvas;
    this.type = TYPES.find((type) => window.MediaRecorder?.isTypeSupported(type));
  }

  get running() {
    return this.recorder?.state === "recording";
  }

  start() {
    if (!this.type) throw new Error("This browser cannot record videos.");
    const parts = [];
    this.recorder = new MediaRecorder(this.canvas.captureStream(), { mimeType: this.type });
    this.recorder.ondataavailable = (event) => parts.push(event.data);
    this.recorder.onstop = () => {
      const name = this.type.startsWith("video/mp4") ? "tracked.mp4" : "tracked.webm";
      download(new Blob(parts, { type: this.type }), name);
    };
    this.recorder.start(1000);
  }

  stop() {
    this.recorder.stop();
  }
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
