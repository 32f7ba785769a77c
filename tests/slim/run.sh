#!/bin/sh
# What a partner receives: the wheel and its base dependencies in an environment of their own.
# It verifies an offline code there, and neither imports nor installs anything of the server.
# PYTHON makes the environment; DEV_PYTHON (default .venv/bin/python) has the project and makes the sample.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
dev=${DEV_PYTHON:-$root/.venv/bin/python}
slim=$root/.slim

rm -rf "$slim"
"${PYTHON:-python3}" -m venv "$slim"
pip="$slim/bin/pip --disable-pip-version-check -q"
$pip wheel --no-deps -w "$slim/dist" "$root"
$pip install "$slim"/dist/ecard-*.whl

"$dev" -m tests.slim.make_sample "$slim/sample"
cd "$slim" # away from the sources: what counts is the wheel
"$slim/bin/python" -I "$root/tests/slim/check_base.py" "$slim/sample"
