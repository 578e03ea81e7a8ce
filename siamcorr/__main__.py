"""`python -m siamcorr` is `siamcorr`."""

from siamcorr.cli import main

raise SystemExit(main())
