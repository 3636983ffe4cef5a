#!/bin/sh
# Every example of README.md works as pasted and prints what the page shows; its table of options is that of --help.
exec "$(dirname "$0")/../scripts/readme-examples" "$FORKMAP_BUILD"
