"""Download published weights to the user's cache."""

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
    """Download a preset's weights, or resume an interrupted download.

    Received bytes are in FILE.part until the download is complete and its SHA-256 is right, if the
    preset has one. An existing file stays if its SHA-256 is right or unknown.

    Args:
        preset: the preset whose weights to download.
        folder: target folder; default `cache_dir`.
        progress: called with the received and the total bytes; the total is None if unknown.

    Returns:
        The file; for a preset without a URL, the file that `find_weights` finds.

    Raises:
        OSError: no connection, an interrupted connection, an HTTP error, or a full disk.
        ValueError: no URL and no file on this machine, a web page instead of a file, or a wrong
            SHA-256.
    """
    weights = preset.weights
    if not weights.url:
        try:
            return find_weights(preset)
        except FileNotFoundError:
            text = f"{preset.name}: download {weights.file} by hand, from {weights.page}"
            raise ValueError(text) from None
    path = Path(folder or cache_dir()) / weights.file
    if path.exists():
        _check(path, weights.sha256, "exists, but is")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    _fetch(weights.url, partial, progress or (lambda done, total: None))
    try:
        _check(partial, weights.sha256, "was downloaded, but is")
    except ValueError:
        partial.unlink()  # resuming a wrong file can never succeed
        raise
    partial.replace(path)
    return path


def _fetch(url: str, partial: Path, progress: Progress) -> None:
    done = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "siamcorr"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as answer:
            if answer.headers.get_content_type() == "text/html":
                raise ValueError(f"{url}: sent a web page, not a file; download it by hand")
            if answer.status != 206:
                done = 0  # the server sends the whole file again
            _save(answer, url, partial, done, progress)
    except HTTPError as error:
        if error.code == 416 and done:
            return  # nothing left to send: the file was already complete
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
        raise ValueError(f"{path}: {words} not the published file (SHA-256 {found}, not {wanted})")
