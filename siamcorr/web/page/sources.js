// Sources of frames. Their interface:
//   width, height    of the sent frames, in pixels
//   scale            pixels of the original per pixel of a sent frame, along x and y
//   live             cannot be paused
//   next()           {image, blob, frame, time}, or null at the end
//   play(), pause(), close()

import { address } from "./connection.js";

const SIDE = 1280; // longest side of a sent frame in pixels; more would only be slower
const QUALITY = 0.85;
const CLIP_FPS = 30;
const PATIENCE = 250; // ms; a video in a hidden tab shows no new frames

export async function openCamera(limits) {
  if (!navigator.mediaDevices) {
    throw new Error("Webcams need https or localhost: open the page through an ssh tunnel.");
  }
  const wish = { width: { ideal: 640 }, facingMode: { ideal: "environment" } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: wish });
  const video = await loadVideo((element) => { element.srcObject = stream; });
  await video.play();
  return new VideoSource(video, limits, stream);
}

export async function openFile(file, limits) {
  const url = URL.createObjectURL(file);
  try {
    return new VideoSource(await loadVideo((element) => { element.src = url; }), limits, null, url);
  } catch {
    URL.revokeObjectURL(url);
    throw new Error(`${file.name}: this browser cannot play it.`);
  }
}

export async function openClip() {
  const clip = new ClipSource();
  const { image } = await clip.next();
  clip.width = image.width;
  clip.height = image.height;
  clip.index = 0;
  return clip;
}

class VideoSource {
  constructor(video, limits, stream, url) {
    const { videoWidth: width, videoHeight: height } = video;
    const pixels = Math.sqrt(limits.frame_pixels / (width * height));
    const shrink = Math.min(1, Math.min(SIDE, limits.frame_side) / Math.max(width, height), pixels);
    this.canvas = document.createElement("canvas");
    this.width = this.canvas.width = Math.max(1, Math.floor(width * shrink));
    this.height = this.canvas.height = Math.max(1, Math.floor(height * shrink));
    this.scale = [width / this.width, height / this.height];
    this.live = stream !== null;
    this.index = 0;
    this.began = performance.now();
    Object.assign(this, { video, stream, url });
  }

  async next() {
    await freshFrame(this.video, this.index === 0);
    if (this.video.ended) return null;
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.width, this.height);
    const live = (performance.now() - this.began) / 1000;
    const time = this.live ? live : this.video.currentTime;
    const blob = await new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", QUALITY));
    if (!blob) throw new Error("The frame could not be encoded.");
    return { image: this.canvas, blob, frame: this.index++, time };
  }

  async play() {
    await this.video.play();
  }

  pause() {
    if (!this.live) this.video.pause();
  }

  close() {
    this.video.pause();
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

// The images come from the server, and are sent back unchanged, like a camera's.
class ClipSource {
  constructor() {
    this.index = 0;
    this.frames = 1; // known after the first answer
    this.scale = [1, 1];
    this.live = false;
    this.due = 0;
  }

  async next() {
    const wait = this.due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    this.due = performance.now() + 1000 / CLIP_FPS;
    if (this.index >= this.frames) return null;
    const answer = await fetch(address(`clip/${this.index}.jpg`));
    if (!answer.ok) throw new Error(await answer.text());
    this.frames = Number(answer.headers.get("Clip-Frames"));
    const blob = await answer.blob();
    const image = await createImageBitmap(blob);
    const frame = this.index++;
    return { image, blob, frame, time: frame / CLIP_FPS };
  }

  play() {}

  pause() {}

  close() {}
}

async function loadVideo(fill) {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.preload = "auto";
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error("no video"));
    fill(video);
  });
  return video;
}

// Wait for a new frame; the first one may be missing although the video is loaded.
function freshFrame(video, first) {
  if (!first && (video.paused || video.ended)) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, first ? 8 * PATIENCE : PATIENCE);
    const done = () => { clearTimeout(timer); resolve(); };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(done);
    else requestAnimationFrame(done);
    if (first && video.paused) video.currentTime = 0; // a seek shows the frame
  });
}
