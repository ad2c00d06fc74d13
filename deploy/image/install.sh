#!/bin/sh
# Installs the fleet into one folder; the Dockerfile runs it, and so does a test in a clean folder.
#
#   install.sh SOURCE TARGET      SOURCE: the packages, the two files below and Python 3.11 or newer on the PATH
#
# TARGET then holds everything: a virtual environment without pip, the packages, the command `fleet`, the bill of
# materials. Only wheels are taken, each with the hash that the lock names: nothing is built and no setup.py runs.
set -eu

source=$1 target=$2
python=${PYTHON:-python3}

"$python" -m venv --without-pip "$target"
"$python" -m pip --python "$target/bin/python" install --quiet --no-cache-dir --disable-pip-version-check \
    --require-hashes --only-binary=:all: -r "$source/deploy/requirements.runtime.lock"

mkdir -p "$target/app" "$target/share"
for package in messages db stripe_client outbox workers deploy; do
    cp -R "$source/$package" "$target/app/"
done
rm -rf "$target/app/deploy/local"                        # the one-machine stack and the Stripe emulator stay outside
find "$target/app" -name __pycache__ -prune -exec rm -rf {} +
cp "$source/deploy/sbom.json" "$target/share/sbom.json"

packages=$("$target/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$target/app" >"$packages/payment-fleet.pth"
printf '#!/bin/sh\nexec "%s/bin/python" -m deploy.cli "$@"\n' "$target" >"$target/bin/fleet"
chmod +x "$target/bin/fleet"
"$target/bin/python" -m compileall -q "$target/app"      # the root is read-only later: nothing is compiled then
