"""The sound of a source, put into the video that was made of its frames; ffmpeg does the work."""

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
SILENT = "the source has no sound"
PATIENCE = 60  # seconds that ffmpeg may take, beside the duration of the video


def find_ffmpeg() -> str | None:
    """The ffmpeg on the PATH, else the one in the package imageio-ffmpeg, else None."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg  # type: ignore[import-untyped, import-not-found, unused-ignore]

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ModuleNotFoundError, RuntimeError):  # not installed, or without a binary for here
        return None


def add_audio(video: Path, source: str | Path, start: float, frames: int, fps: float) -> str:
    """Put the first audio stream of source into video; its frames are kept as they are.

    The stream is copied, or made AAC where the container cannot hold it, and cut where the video
    ends; one that ends earlier does not shorten the video. All is written beside the video, which
    is replaced once that is whole.

    Args:
        video: a finished video without sound.
        source: the file that has it.
        start: second of the source at which the video begins.
        frames: of the video.
        fps: of the video.

    Returns:
        Nothing, or why the video is as it was.
    """
    if not Path(source).is_file():
        return f"{source} is not a file"
    ffmpeg, fits = find_ffmpeg(), video.suffix.lower() in CONTAINERS
    reason = "" if fits else f"sound is kept in {', '.join(CONTAINERS)}, not in {video.suffix}"
    if ffmpeg is None:
        return reason or "ffmpeg is not installed"
    video = video.resolve()  # a link stays one
    partial, duration = video.with_name(video.name + ".partial"), frames / fps
    try:
        if not fits:
            return SILENT if _silent(ffmpeg, Path(source)) else reason
        for codec in ("copy", "aac"):
            command = _command(video, Path(source), start, duration, codec, partial)
            reason = _run(ffmpeg, command, duration)[1] or _lost(ffmpeg, partial, frames, duration)
            if not reason:
                partial.replace(video)
                break
    except subprocess.TimeoutExpired as error:
        reason = f"ffmpeg took longer than {error.timeout:.1f} seconds"
    except OSError as error:
        reason = str(error)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return reason


def _command(
    video: Path, source: Path, start: float, duration: float, codec: str, partial: Path
) -> list[str]:
    # -t and not -shortest, which would cut the frames of a video that outlasts the sound.
    section = f"-ss {start:.6f} -t {duration:.6f}"
    # Without copypriorss a copy begins at the key frame before start.
    streams = f"-map 0:v:0 -map 1:a:0 -map_chapters -1 -c:v copy -c:a {codec} -copypriorss:a 0"
    inputs = ["-i", _url(video), *section.split(), "-i", _url(source)]
    form = ["-abort_on", "empty_output_stream", "-f", CONTAINERS[video.suffix.lower()]]
    if video.suffix.lower() != ".mkv":  # what a browser shows while it is still being loaded
        form = ["-movflags", "+faststart", *form]
    return [*inputs, *streams.split(), *form, _url(partial)]


def _url(path: Path) -> str:
    """A path in a form that ffmpeg takes for nothing else, whatever the file is called."""
    return f"file:{path.resolve()}"


def _run(ffmpeg: str, arguments: list[str], duration: float) -> tuple[str, str]:
    """Run it; what it reports on its progress, and why it failed, if it did."""
    quiet = "-nostdin -y -v error -nostats -progress pipe:1"
    done = subprocess.run(
        [ffmpeg, *quiet.split(), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE + duration,
        check=False,
    )
    said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
    reason = f"ffmpeg ended with code {done.returncode}: {said[0]}" if done.returncode else ""
    for line in said:
        if "matches no streams" in line:
            reason = SILENT
        elif "Empty output" in line:
            reason = "the source has no sound in this section"
        elif "Error writing" in line:  # on a full disk older versions end with code 0
            reason = f"ffmpeg: {line}"
    return done.stdout.decode(errors="replace"), reason


def _silent(ffmpeg: str, source: Path) -> bool:
    first = "-map 0:a:0 -frames:a 1 -c copy -f null -"
    return _run(ffmpeg, ["-i", _url(source), *first.split()], 0)[1] == SILENT


def _lost(ffmpeg: str, partial: Path, frames: int, duration: float) -> str:
    """Whether frames were lost on the way, in words."""
    whole = ["-map", "0:v:0", "-c", "copy", "-f", "null", "-"]
    progress, reason = _run(ffmpeg, ["-i", _url(partial), *whole], duration)
    counts = [line for line in progress.splitlines() if line.startswith("frame=")]
    count = int(counts[-1].removeprefix("frame=")) if counts else 0
    return reason or ("" if count == frames else f"ffmpeg kept {count} of {frames} frames")
