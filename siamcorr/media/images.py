"""Single pictures to disk."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB picture (H, W, 3); the suffix of path chooses the format.

    Raises:
        OSError: it cannot be written, or not whole.
        ValueError: a suffix that OpenCV does not know.
    """
    path = Path(path)
    try:
        _, packed = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        raise ValueError(f"{path}: unknown image suffix {path.suffix!r}") from None
    path.write_bytes(packed.tobytes())
