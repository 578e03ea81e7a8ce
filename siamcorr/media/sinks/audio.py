"""Copy the audio of a source into the video made from its frames, with ffmpeg."""

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
SILENT = "the source has no sound"
TIMEOUT = 60  # seconds that ffmpeg may take, plus the duration of the video


def find_ffmpeg() -> str | None:
    """Path of ffmpeg: from PATH, else from the package imageio-ffmpeg, else None."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg  # type: ignore[import-untyped, import-not-found, unused-ignore]

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ModuleNotFoundError, RuntimeError):  # not installed, or no binary for this platform
        return None


def add_audio(video: Path, source: str | Path, start: float, frames: int, fps: float) -> str:
    """Add the first audio stream of source to video; the frames are not encoded again.

    The stream is copied, or encoded as AAC if the container cannot hold it, and cut at the end of
    the video. Audio that ends earlier does not shorten the video. ffmpeg writes a second file,
    which replaces the video once it is complete.

    Args:
        video: a finished video without audio.
        source: the file with the audio.
        start: second of the source at which the video begins.
        frames: number of frames of the video.
        fps: of the video.

    Returns:
        "", or the reason why the video is unchanged.
    """
    if not Path(source).is_file():
        return f"{source} is not a file"
    ffmpeg, fits = find_ffmpeg(), video.suffix.lower() in CONTAINERS
    reason = "" if fits else f"sound is kept in {', '.join(CONTAINERS)}, not in {video.suffix}"
    if ffmpeg is None:
        return reason or "ffmpeg is not installed"
    video = video.resolve()  # replace the file, not a link to it
    partial, duration = video.with_name(video.name + ".partial"), frames / fps
    try:
        if not fits:
            return SILENT if _has_no_audio(ffmpeg, Path(source)) else reason
        for codec in ("copy", "aac"):
            command = _command(video, Path(source), start, duration, codec, partial)
            reason = _run(ffmpeg, command, duration)[1]
            reason = reason or _check_frames(ffmpeg, partial, frames, duration)
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
    # -t instead of -shortest, which would cut a video that is longer than its audio.
    section = f"-ss {start:.6f} -t {duration:.6f}"
    # Without -copypriorss 0, a copy begins at the key frame before start.
    streams = f"-map 0:v:0 -map 1:a:0 -map_chapters -1 -c:v copy -c:a {codec} -copypriorss:a 0"
    inputs = ["-i", _url(video), *section.split(), "-i", _url(source)]
    form = ["-abort_on", "empty_output_stream", "-f", CONTAINERS[video.suffix.lower()]]
    if video.suffix.lower() != ".mkv":  # browsers can play it while it loads
        form = ["-movflags", "+faststart", *form]
    return [*inputs, *streams.split(), *form, _url(partial)]


def _url(path: Path) -> str:
    """A path in a form that ffmpeg cannot mistake for an option or a protocol."""
    return f"file:{path.resolve()}"


def _run(ffmpeg: str, arguments: list[str], duration: float) -> tuple[str, str]:
    """Run ffmpeg; returns its progress report, and the reason of a failure or ""."""
    quiet = "-nostdin -y -v error -nostats -progress pipe:1"
    done = subprocess.run(
        [ffmpeg, *quiet.split(), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT + duration,
        check=False,
    )
    said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
    reason = f"ffmpeg ended with code {done.returncode}: {said[0]}" if done.returncode else ""
    for line in said:
        if "matches no streams" in line:
            reason = SILENT
        elif "Empty output" in line:
            reason = "the source has no sound in this section"
        elif "Error writing" in line:  # on a full disk, older versions exit with code 0
            reason = f"ffmpeg: {line}"
    return done.stdout.decode(errors="replace"), reason


def _has_no_audio(ffmpeg: str, source: Path) -> bool:
    first = "-map 0:a:0 -frames:a 1 -c copy -f null -"
    return _run(ffmpeg, ["-i", _url(source), *first.split()], 0)[1] == SILENT


def _check_frames(ffmpeg: str, partial: Path, frames: int, duration: float) -> str:
    """Count the frames; "" if all are there, else the reason of the failure."""
    whole = ["-map", "0:v:0", "-c", "copy", "-f", "null", "-"]
    progress, reason = _run(ffmpeg, ["-i", _url(partial), *whole], duration)
    counts = [line for line in progress.splitlines() if line.startswith("frame=")]
    count = int(counts[-1].removeprefix("frame=")) if counts else 0
    return reason or ("" if count == frames else f"ffmpeg kept {count} of {frames} frames")
