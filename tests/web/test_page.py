"""The page in a browser: clicks, drawing, downloads."""

import csv
import re
import shutil
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("playwright")

from playwright.sync_api import expect, sync_playwright

from siamcorr.data import ClipConfig, render_clip
from siamcorr.tracking import box_iou
from siamcorr.web.clip import Clip
from siamcorr.web.sessions import Session

expect.set_options(timeout=60_000)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CLIP = ClipConfig(frames=20, width=320, height=240, target=70)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]


@pytest.fixture(scope="module")
def frames():
    """The frames of the clip."""
    return [image for image, _ in render_clip(CLIP)]


@pytest.fixture(scope="module")
def truth():
    """The box of each frame of the clip."""
    return [box for _, box in render_clip(CLIP)]


@pytest.fixture(scope="module")
def camera(frames, tmp_path_factory):
    """The clip, forwards and backwards, as a file that Chromium uses as webcam."""
    path = tmp_path_factory.mktemp("camera") / "clip.y4m"
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W320 H240 F30:1 Ip A1:1 C420jpeg\n")
        for image in [*frames, *reversed(frames)]:
            file.write(b"FRAME\n" + cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@pytest.fixture(scope="module")
def browser(camera):
    arguments = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, make_server, serve):
    """Open the page of a new server; script errors and policy violations fail the test."""
    faults, contexts = [], []

    def open_it(address=None, **limits):
        context = browser.new_context(viewport={"width": 900, "height": 700})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto(address or serve(make_server(clip=Clip(CLIP), **limits)))
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert faults == []


def draw(page, box):
    """Draw a box on the picture with the mouse; box in frame pixels."""
    x, y, w, h = box
    shown = page.locator("#view").bounding_box()
    scale = shown["width"] / CLIP.width
    page.mouse.move(shown["x"] + x * scale, shown["y"] + y * scale)
    page.mouse.down()
    page.mouse.move(shown["x"] + (x + w) * scale, shown["y"] + (y + h) * scale, steps=3)
    page.mouse.up()


def picture(page):
    """The image on the page: (H, W, 3)."""
    packed = np.frombuffer(page.locator("#view").screenshot(), np.uint8)
    return cv2.imdecode(packed, cv2.IMREAD_COLOR).astype(float)


def still_picture(page):
    """The image after a pause; a frame that was being sent may still come."""
    before, shown = None, picture(page)
    while before is None or not np.array_equal(before, shown):
        page.wait_for_timeout(400)
        before, shown = shown, picture(page)
    return shown


def save(page, button, path):
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(path)
    return path


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def box_of(row):
    return [float(row[key]) for key in "xywh"]


def ready(page):
    """Wait for the first frame of the chosen source."""
    expect(page.locator("#hint")).to_have_text("Draw a box around a target.")


COLOURED = """canvas => {
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
        if (Math.max(data[i], data[i + 1]) - data[i + 2] > 60) count += 1;
    }
    return count;
}"""


def test_clip_table_and_video(open_page, truth, tmp_path):
    page = open_page()
    expect(page.locator("#status")).to_have_text("siamcorr-lite on cpu")
    page.click("#clip")
    ready(page)
    curve = page.locator("#curve")
    limit_alone = curve.evaluate(COLOURED)
    page.click("#record")
    draw(page, truth[0])
    expect(page.locator("#targets .score")).to_have_text(re.compile(r"0\.[5-9]\d"))
    early = curve.evaluate(COLOURED)
    expect(page.locator("#hint")).to_contain_text("The end.")
    assert limit_alone <= early < curve.evaluate(COLOURED)

    table = rows(save(page, "#csv", tmp_path / "boxes.csv"))
    assert [int(row["frame"]) for row in table] == list(range(CLIP.frames))
    assert [float(row["time"]) for row in table] == pytest.approx(
        [index / 30 for index in range(CLIP.frames)], abs=1e-4
    )
    assert {row["target"] for row in table} == {"0"}
    assert {row["lost"] for row in table} == {"0"}
    assert float(table[0]["score"]) == 1
    overlaps = [box_iou(box_of(row), box) for row, box in zip(table, truth, strict=True)]
    assert overlaps[0] > 0.95
    assert min(overlaps) > 0.6

    video = save(page, "#record", tmp_path / "tracked.webm")
    capture = cv2.VideoCapture(str(video))
    frames = 0
    while capture.grab():
        frames += 1
    ok = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    capture.release()
    assert frames > 5
    assert ok == (320, 240)

    page.set_input_files("#video", video)  # the recorded video as source
    ready(page)
    draw(page, truth[0])
    expect(page.locator("#hint")).to_contain_text("The end.")
    followed = rows(save(page, "#csv", tmp_path / "again.csv"))
    assert len(followed) > 2
    assert max(box_iou(box_of(followed[-1]), box) for box in truth[-10:]) > 0.5


def test_webcam(open_page, frames, truth, tmp_path):
    page = open_page()
    page.click("#camera")
    ready(page)
    page.click("#pause")  # the target moves: draw in the frame on screen
    expect(page.locator("#pause")).to_have_text("Play")
    draw(page, truth[which_frame(still_picture(page), frames)])
    expect(page.locator("#pause")).to_have_text("Pause")
    table = []
    while len(table) < 8:
        page.wait_for_timeout(300)
        table = rows(save(page, "#csv", tmp_path / "boxes.csv"))
    numbers = [int(row["frame"]) for row in table]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(max(box_iou(box_of(row), box) for box in truth) > 0.6 for row in table)
    assert len({row["x"] for row in table}) > 3  # it moves


def test_a_click_before_the_network_is_loaded(open_page, monkeypatch):
    """The webcam waits for the server's first message, on one connection."""
    hello, sessions = Session.hello, []

    def slowly(session):
        sessions.append(session)
        time.sleep(1)
        return hello(session)

    monkeypatch.setattr(Session, "hello", slowly)
    page = open_page()
    page.click("#camera")
    ready(page)
    expect(page.locator("#status")).to_have_text("siamcorr-lite on cpu")
    assert len(sessions) == 1


def which_frame(shown, frames):
    """The index of the clip's frame that is most similar to the image on the page."""
    shown = cv2.resize(shown, (CLIP.width, CLIP.height))[:, :, ::-1]
    differences = [abs(image - shown).mean() for image in frames]
    return differences.index(min(differences))


def test_targets_are_added_and_removed(open_page, truth):
    page = open_page(targets=2)
    page.click("#clip")
    ready(page)
    draw(page, truth[0])
    expect(page.locator("#targets li")).to_have_count(1)
    page.click("#pause")
    draw(page, (10, 10, 60, 40))
    expect(page.locator("#targets li")).to_have_count(2)
    draw(page, (10, 10, 60, 40))
    expect(page.locator("#message")).to_have_text("add: at most 2 targets at once")
    draw(page, (10, 10, 1, 1))  # a click is not a box and not an error
    expect(page.locator("#message")).to_be_hidden()
    page.click("[aria-label='Remove target 1']")
    expect(page.locator("#targets li")).to_have_count(1)
    expect(page.locator("#targets .name")).to_have_text("Target 2")
    page.click("#clear")
    expect(page.locator("#targets li")).to_have_count(0)
    expect(page.locator("#none")).to_be_visible()


def test_another_network_and_its_maps(open_page, truth):
    page = open_page()
    page.click("#clip")
    ready(page)
    page.select_option("#model", "nanotrack-v2")
    expect(page.locator("#status")).to_have_text("nanotrack-v2 on cpu")
    page.select_option("#model", "siamcorr-lite")
    expect(page.locator("#status")).to_have_text("siamcorr-lite on cpu")
    page.check("#maps")
    draw(page, truth[0])
    expect(page.locator("#targets .score")).not_to_be_empty()
    page.click("#pause")
    page.wait_for_timeout(300)
    with_map = picture(page)
    page.click("#clear")
    expect(page.locator("#none")).to_be_visible()
    changed = abs(with_map - picture(page)).max(axis=2) > 12
    assert changed.mean() > 0.2  # more than the lines of a box
    expect(page.locator("#message")).to_be_hidden()


def test_errors_are_shown(open_page, make_server, serve, tmp_path):
    address = serve(make_server(clip=Clip(CLIP), sessions=1))
    page = open_page(address)
    expect(page.locator("#status")).to_have_text("siamcorr-lite on cpu")
    (tmp_path / "notes.mp4").write_text("no video")
    page.set_input_files("#video", tmp_path / "notes.mp4")
    expect(page.locator("#message")).to_have_text("notes.mp4: this browser cannot play it.")
    second = open_page(address)
    text = "full: all 1 sessions are taken, try again later"
    expect(second.locator("#message")).to_have_text(text)
    expect(second.locator("#status")).to_have_text("Not connected")
    page.close()
    second.wait_for_timeout(300)
    second.click("#clip")  # connects again
    ready(second)
    expect(second.locator("#status")).to_have_text("siamcorr-lite on cpu")
