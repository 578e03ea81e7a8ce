"""The video that `siamcorr track` writes plays in a browser's video element."""

import shutil
from contextlib import closing

import numpy as np
import pytest

from siamcorr.cli import main
from siamcorr.data import find_sequences
from siamcorr.media import open_source

pytest.importorskip("av")
pytest.importorskip("playwright")

from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FRAMES = 60
PAGE = '<!doctype html><video src="clip.mp4" muted></video>'
PLAY = """
async video => {
    const ended = new Promise((resolve, reject) => {
        video.onended = resolve;
        video.onerror = () => reject(video.error.message);
    });
    await video.play();
    await ended;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
    return [video.videoWidth, video.videoHeight, video.duration, [...rgba]];
}
"""


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_chromium_plays_the_output(browser, shared, tmp_path):
    bag, clip = shared / "sequences" / "bag", tmp_path / "clip.mp4"
    box = ",".join(f"{value:.1f}" for value in find_sequences(bag.parent)[0].boxes[0])
    options = ["--box", box, "--output", str(clip), "--max-frames", str(FRAMES)]
    assert main(["track", str(bag / "bag.avi"), *options]) == 0
    with closing(open_source(str(clip))) as source:
        frames = [frame.image for frame in source]
        rate = source.fps
    assert len(frames) == FRAMES

    page = browser.new_page()
    page.route("**/*.html", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page.route("**/*.mp4", lambda route: route.fulfill(path=clip, content_type="video/mp4"))
    page.goto("http://localhost/page.html")
    width, height, seconds, values = page.locator("video").evaluate(PLAY)

    assert (height, width) == frames[0].shape[:2]
    assert seconds == pytest.approx(FRAMES / rate, abs=1.5 / rate)
    shown = np.array(values, np.float32).reshape(height, width, 4)[..., :3]
    assert np.abs(shown - frames[-1]).mean() < 4
    assert np.abs(shown - frames[0]).mean() > 8  # it really moved on
