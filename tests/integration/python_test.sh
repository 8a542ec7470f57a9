#!/usr/bin/env bash
# The Python package: its examples as a doctest, and what its users rely on.
set -eu
package=$LITBUILD_BIN_DIR/../python
[ -d "$package" ] || { echo "SKIPPED: python_test: the Python package was not built (pybind11-dev, python3-dev)"; exit 77; }
export PYTHONPATH=$package PYTHONDONTWRITEBYTECODE=1 LITBUILD_RUNNER=$LITBUILD_BIN_DIR/litbuild-runner TZ=UTC0
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/examples"
LITBUILD_ROOT=$root/examples /usr/bin/python3 "$LITBUILD_SOURCE_DIR/sdk/python/examples/builds.py"
/usr/bin/python3 "$LITBUILD_SOURCE_DIR/tests/python/package_test.py"

# The wheel brings all that it needs.
wheel=$(/usr/bin/python3 "$LITBUILD_SOURCE_DIR/sdk/python/make_wheel" "$(dirname "$LITBUILD_BIN_DIR")" "$root/wheel")
/usr/bin/python3 -m pip install --quiet --no-index --no-deps --disable-pip-version-check --root-user-action=ignore \
    --target "$root/site" "$wheel"
mkdir "$root/builds"
(
    unset LITBUILD_RUNNER
    PYTHONPATH=$root/site LITBUILD_ROOT=$root/builds /usr/bin/python3 "$LITBUILD_SOURCE_DIR/sdk/python/examples/builds.py"
)

# The stubs tell what there is.
/usr/bin/python3 - "$LITBUILD_SOURCE_DIR/sdk/python/lit/sdk/data/build/_engine.pyi" <<'PYTHON'
import ast, sys
from lit.sdk.data.build import _engine
with open(sys.argv[1]) as stub:
    told = {each.name: {f.name for f in each.body} for each in ast.parse(stub.read()).body if isinstance(each, ast.ClassDef)}
there = {name: {f for f in vars(getattr(_engine, name)) if f in told[name] or not f.startswith("_")} for name in told}
assert told == there, (told, there)
PYTHON
