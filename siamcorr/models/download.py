"""Published weights from where they were published into the user's cache."""

from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from siamcorr.models.build import cache_dir, find_weights
from siamcorr.models.checkpoints import sha256
from siamcorr.models.presets import Preset

CHUNK = 1 << 16  # bytes
TIMEOUT = 30.0  # seconds without a byte

Progress = Callable[[int, int | None], None]


def download(
    preset: Preset, folder: str | Path | None = None, progress: Progress | None = None
) -> Path:
    """Fetch a preset's weights, or go on with a download that was cut off.

    What has arrived lies in FILE.part until it is whole and, where the preset knows it, its
    SHA-256 is right; a file that is there already is kept if it is right, or if nobody knows.

    Args:
        preset: whose weights.
        folder: default `cache_dir`.
        progress: is told bytes that have arrived and bytes in all, None where that is unknown.

    Returns:
        The file; where nothing can be fetched by itself, the one that `find_weights` finds.

    Raises:
        OSError: no connection, one that was cut off, an answer that is an error, a full disk.
        ValueError: nothing can be fetched by itself and nothing is there, a web page came instead
            of a file, or something other than what was published.
    """
    weights = preset.weights
    if not weights.url:
        try:
            return find_weights(preset)
        except FileNotFoundError:
            text = f"{preset.name}: fetch {weights.file} by hand, from {weights.page}"
            raise ValueError(text) from None
    path = Path(folder or cache_dir()) / weights.file
    if path.exists():
        _check(path, weights.sha256, "lies there, but is")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    _fetch(weights.url, partial, progress or (lambda done, total: None))
    try:
        _check(partial, weights.sha256, "came from there, but is")
    except ValueError:
        partial.unlink()  # going on with it would never end well
        raise
    partial.replace(path)
    return path


def _fetch(url: str, partial: Path, progress: Progress) -> None:
    done = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "siamcorr"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as answer:
            if answer.headers.get_content_type() == "text/html":
                raise ValueError(f"{url}: gave a web page, not a file; fetch it by hand")
            if answer.status != 206:
                done = 0  # the server sends all of it again
            _save(answer, url, partial, done, progress)
    except HTTPError as error:
        if error.code == 416 and done:
            return  # nothing is left to send: it was whole already
        raise OSError(f"{url}: {error.code} {error.reason}") from None
    except URLError as error:
        raise OSError(f"{url}: {error.reason}") from None
    except (HTTPException, TimeoutError, ConnectionError) as error:
        raise OSError(f"{url}: the connection was cut off ({error}); run it again") from None


def _save(answer: Any, url: str, partial: Path, done: int, progress: Progress) -> None:
    length = answer.headers.get("Content-Length")
    total = None if length is None else done + int(length)
    with partial.open("ab" if done else "wb") as file:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
    if total is not None and done < total:
        raise OSError(f"{url}: cut off after {done} of {total} bytes; run it again to go on")


def _check(path: Path, wanted: str, words: str) -> None:
    if wanted and (found := sha256(path)) != wanted:
        raise ValueError(f"{path}: {words} not what was published (SHA-256 {found}, not {wanted})")
