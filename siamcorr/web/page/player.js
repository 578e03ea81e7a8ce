// Takes frames from a source, one at a time: the next one only when the last has come back.

export class Player {
  // What happens is told to `on`:
  //   opened()            another source was chosen, none of its frames came yet
  //   shot(shot, source)  a frame; the next one waits until this is done
  //   paused(value)       it stands still, or goes on
  //   ended()             the source has no more frames
  //   failed(error)       a frame could not be had, or not be passed on
  constructor(on) {
    this.on = on;
    this.source = null;
    this.paused = true;
    this.held = false;
    this.busy = false;
  }

  // Take another source. Its first frame is passed on; a live one then goes on by itself.
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

  // Stand still for a moment, whether paused or not.
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
