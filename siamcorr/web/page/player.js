// Takes frames from a source, one at a time: the next one only after the last one was answered.

export class Player {
  // Callbacks in `on`:
  //   opened()            another source was opened; no frame was read yet
  //   shot(shot, source)  a frame; the next one waits until this is done
  //   paused(value)       paused or resumed
  //   ended()             the source has no more frames
  //   failed(error)       reading or sending a frame failed
  constructor(on) {
    this.on = on;
    this.source = null;
    this.paused = true;
    this.held = false;
    this.busy = false;
  }

  // Open another source and send its first frame; a live source then plays.
  async open(source) {
    this.setPaused(true);
    this.source?.close();
    this.source = source;
    await this.on.opened();
    await this.step(source);
    if (this.source === source) await this.setPaused(!source.live);
  }

  async setPaused(value) {
    this.paused = value;
    this.on.paused(value);
    if (value) {
      this.source?.pause();
    } else {
      await this.source.play();
      this.run();
    }
  }

  // Hold the frame until release(), whether paused or not.
  hold() {
    this.held = true;
    this.source.pause();
  }

  async release() {
    this.held = false;
    if (!this.paused) await this.setPaused(false);
  }

  async run() {
    if (this.busy) return;
    this.busy = true;
    const { source } = this;
    try {
      while (this.source === source && !this.paused && !this.held) await this.step(source);
    } catch (error) {
      if (this.source === source) this.on.failed(error);
    } finally {
      this.busy = false;
    }
    if (this.source !== source && !this.paused && !this.held) this.run();
  }

  async step(source) {
    const shot = await source.next();
    if (this.source !== source || this.held) return;
    if (shot) {
      await this.on.shot(shot, source);
    } else {
      this.setPaused(true);
      this.on.ended();
    }
  }
}
