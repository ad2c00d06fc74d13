#!/bin/sh
# Makes a bare clone ready. Called by the Makefile:
#
#   setup.sh environment PYTHON VENV   the virtual environment with the locked packages and the `fleet` command
#   setup.sh rabbitmq                  rabbitmq-server, through apt when we may
#   setup.sh chain                     the local chain and the contract's compiler, from npm where it is there
#   setup.sh chromium                  the browser for tests of the console, through apt when we may; else they are skipped
#   setup.sh prometheus                Prometheus and Alertmanager with their tools, for alerts and their tests, likewise
set -eu

main() {
    case "$1" in
    environment) make_environment "$2" "$3" ;;
    rabbitmq) have_rabbitmq || install_rabbitmq ;;
    chain) have_chain || install_chain ;;
    chromium) have_chromium || install_chromium ;;
    prometheus) have_prometheus || install_prometheus ;;
    esac
}

make_environment() {
    python=$1 venv=$2
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        stop "Python 3.11 or newer is needed, and '$python' is not: install it, or say which one: make PYTHON=/path/to/python3.12"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv "$python"
    echo "Installing the locked packages into $venv ..."
    rm -f "$venv"/ready-*
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    link_clone "$venv"
}

# The clone itself, by a path file and a two-line command: an editable install would fetch setuptools, unlocked.
link_clone() {
    pwd >"$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/payment-fleet.pth"
    printf '#!/bin/sh\nexec "%s/%s/bin/python" -m deploy.cli "$@"\n' "$(pwd)" "$1" >"$1/bin/fleet"
    chmod +x "$1/bin/fleet"
}

install_venv() {
    package="python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    may_install || stop "Python's venv is missing. Install it (Debian, Ubuntu: sudo apt-get install $package) and run this again."
    echo "Installing $package ..."
    install_packages "$package"
}

have_rabbitmq() {
    [ -n "${RABBITMQ_URL:-}${RABBITMQ_BIN:-}" ] || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] ||
        PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin" command -v rabbitmq-server >/dev/null
}

install_rabbitmq() {
    may_install || stop "RabbitMQ is missing. Install it (Debian, Ubuntu: sudo apt-get install rabbitmq-server; macOS: brew install rabbitmq), or set RABBITMQ_URL to a broker that runs elsewhere."
    echo "Installing rabbitmq-server (the machine's own service is not started) ..."
    install_packages rabbitmq-server
}

# Exactly what the lock names, and new when it has changed.
have_chain() {
    cmp -s deploy/chain/package-lock.json .local/chain/package-lock.json && [ -d .local/chain/node_modules ]
}

# Its binary is one of the locked packages; no script of any package runs.
install_chain() {
    if ! command -v npm >/dev/null; then
        echo "No npm here: the fleet runs without a chain. Tokens wait, and their tests are skipped."
        return
    fi
    echo "Installing the local chain and the contract's compiler into .local/chain ..."
    rm -rf .local/chain && mkdir -p .local/chain
    cp deploy/chain/package.json deploy/chain/package-lock.json .local/chain/
    npm ci --prefix .local/chain --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null || {
        rm -rf .local/chain
        echo "npm could not install it: the fleet runs without a chain. Tokens wait, and their tests are skipped."
    }
}

have_chromium() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null
}

# Without it the tests in a browser say that they are skipped, and why. Ubuntu's package is only a door to a snap.
install_chromium() {
    if may_install && grep -qs '^ID=debian' /etc/os-release; then
        echo "Installing chromium, for the tests of the console ..."
        install_packages chromium || echo "chromium could not be installed: the tests in a browser will be skipped."
    else
        echo "No chromium here: the tests of the console in a browser will be skipped."
    fi
}

have_prometheus() {
    command -v promtool >/dev/null && command -v prometheus >/dev/null && command -v amtool >/dev/null &&
        { command -v prometheus-alertmanager >/dev/null || command -v alertmanager >/dev/null; }
}

# Without them the tests of rules, routes and messages say that they are skipped, and why.
install_prometheus() {
    if may_install; then
        echo "Installing prometheus and prometheus-alertmanager (the machine's own services are not started) ..."
        install_packages prometheus prometheus-alertmanager ||
            echo "They could not be installed: the tests with promtool and amtool will be skipped."
    else
        echo "No promtool and amtool here: the tests of alerts with them will be skipped."
    fi
}

may_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Debian starts a service as soon as its package is there, unless policy-rc.d says no. Ours says so meanwhile; one that
# the machine has already is left alone.
install_packages() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod +x "$policy"
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

stop() {
    echo "$1" >&2
    exit 1
}

main "$@"
