#!/usr/bin/env bash
# The only door: everything a person runs on this repository. `./build.sh --help` lists it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
ROOT=$PWD
VENV=$ROOT/.venv
# What setup installs where it is missing; the second list is only for demo, test and bench.
APT_BUILD=(gcc libc6-dev libasound2-dev libopus-dev libspandsp-dev libflac-dev libssl-dev libdeflate-dev gettext pkg-config)
APT_TEST=(sip-tester espeak-ng tcpdump tshark libjack-jackd2-dev iproute2 procps strace e2fsprogs mosquitto libmosquitto-dev swtpm tpm2-tools)

say() { printf '%s\n' "$*" >&2; }
die() { say "build.sh: $1"; exit "${2:-1}"; }

usage() {
    cat <<'TEXT'
usage: ./build.sh COMMAND [OPTIONS]      (each COMMAND has --help)

  setup    install what is missing (apt packages, .venv/, the native core)
  demo     real calls to sealed recordings at head office, in one go [--json] [--keep DIR]
  test     every check: style, types, C under sanitizers, pytest  [pytest arguments]
           or the crash rig alone: N power cuts of a real ext4      --power N [--json]
  bench    figures as ratios against a reference                  [NAME] [--json]
  lint     style and types only
  fuzz     mutated SIP, SDP, RTP, pcap, part and log inputs       [--inputs N]
  soak     promises, measured for longer than a test should take   NAME [--json]
  image    (comes later)
  bundle   (comes later)
TEXT
}

help_of() {
    case $1 in
        setup) say "usage: ./build.sh setup   installs apt packages, makes .venv/ from hash-locked wheels, builds the native core" ;;
        demo) say "usage: ./build.sh demo [--json] [--keep DIR]   --keep leaves device/ sync/ office/ keys/ in DIR; GREFFIER_DEMO_LOOPBACK=1: no network namespaces" ;;
        test)
            say "usage: ./build.sh test [PYTEST ARGUMENTS]   lint, then pytest (which runs the C tests under ASan, UBSan and TSan)"
            say "       without arguments in parallel, a file by one worker; with any in one process (./build.sh test tests)"
            say "       ./build.sh test --power N [--json]   N power cuts, and mutants that must be caught (root, FUSE, loop devices; 0.1 s a cut)"
            ;;
        bench) say "usage: ./build.sh bench [NAME] [--json]   NAME: one result, by its exact name" ;;
        lint) say "usage: ./build.sh lint   ruff format, ruff check, mypy --strict" ;;
        fuzz) say "usage: ./build.sh fuzz [--inputs N] [--seed N]   mutated inputs; nothing may crash, hang or grow" ;;
        soak) say "usage: ./build.sh soak NAME [--json] [...]   calls, card, clock, deletion, holds, kills, mix, mutants, nonces, policy, purge, sync, syscalls, thief, unsampled; NAME --help tells its options" ;;
        image | bundle) say "usage: ./build.sh $1   comes later; exits 2" ;;
    esac
}

# --- setting up -----------------------------------------------------------------------------

missing_packages() {
    local name
    for name in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -q '^installed$' || printf '%s\n' "$name"
    done
}

install_packages() {
    local missing=()
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "these Debian packages are missing: ${missing[*]}; install them and run again"
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "not root and no sudo: as root, run apt-get install ${missing[*]}"
        sudo=(sudo)
    fi
    say "setup: installing Debian packages: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    # RUNLEVEL=1: what a package brings as a service is not started (invoke-rc.d(8)); we start our own.
    "${sudo[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

find_python() {
    local name
    for name in python3.11 python3 python3.12 python3.13; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$name"
            return
        fi
    done
    printf 'python3\n'
}

stamp() { # what the virtual environment was made from
    find tools/locks/dev.txt pyproject.toml setup.py native firmware/greffier/locale \
        -type f ! -name '*.o' ! -name '*.mo' ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

setup() {
    local python
    python=$(find_python)
    local packages=("${APT_BUILD[@]}" "${APT_TEST[@]}")
    # A Python of Debian's brings neither venv nor headers by itself; another kind brings both.
    local found
    found=$(command -v "$python" || true)
    case $(readlink -f "${found:-/usr/bin/python3}") in
        /usr/bin/*) packages+=(python3 python3-venv python3-dev) ;;
    esac
    install_packages "${packages[@]}"
    local now
    now=$(stamp)
    if [ "$(cat "$VENV/.made-from" 2>/dev/null)" = "$now" ]; then return; fi
    if [ ! -x "$VENV/bin/python" ]; then
        say "setup: making .venv/ with $($python --version)"
        "$python" -m venv "$VENV"
    fi
    say "setup: installing hash-locked wheels"
    "$VENV/bin/pip" install -q --disable-pip-version-check --require-hashes -r tools/locks/dev.txt
    say "setup: building the native core and the message catalogues"
    "$VENV/bin/pip" install -q --disable-pip-version-check --no-build-isolation --no-deps -e . >"$VENV/build.log" 2>&1 \
        || { tail -n 30 "$VENV/build.log" >&2; die "the native core did not build (whole log: .venv/build.log)"; }
    "$VENV/bin/python" setup.py -q build_py >>"$VENV/build.log" 2>&1 || { tail -n 5 "$VENV/build.log" >&2; die "the message catalogues did not build"; }
    printf '%s\n' "$now" >"$VENV/.made-from"
}

# --- commands -------------------------------------------------------------------------------

lint() {
    "$VENV/bin/ruff" format --check --quiet firmware tools tests native setup.py || die "run: .venv/bin/ruff format firmware tools tests native setup.py"
    "$VENV/bin/ruff" check --quiet firmware tools tests native setup.py
    "$VENV/bin/mypy"
}

main() {
    local command=${1:-}
    [ -n "$command" ] || { usage >&2; exit 2; }
    shift
    case $command in
        --help | -h | help) usage; exit 0 ;;
        setup | demo | test | bench | lint | fuzz | soak | image | bundle) ;;
        *) usage >&2; die "unknown command $command" 2 ;;
    esac
    case ${1:-} in --help | -h) help_of "$command" 2>&1; exit 0 ;; esac
    case $command in
        image | bundle) die "$command comes with the appliance image, in a later version; nothing was done" 2 ;;
    esac
    setup
    # Trials never write into a TPM that this machine may have; tests start one of their own.
    export PATH="$VENV/bin:$PATH" GREFFIER_TPM="${GREFFIER_TPM:-none}"
    # Tests start hundreds of our processes: what Python compiled is kept, but not among the sources.
    unset PYTHONDONTWRITEBYTECODE
    export PYTHONPYCACHEPREFIX="$VENV/compiled"
    case $command in
        setup) say "setup: ready; commands are in .venv/bin/" ;;
        lint) lint ;;
        demo) exec "$VENV/bin/python" -m greffier_sim.demo "$@" ;;
        bench) exec "$VENV/bin/python" -m greffier_sim.bench "$@" ;;
        fuzz) exec "$VENV/bin/python" -m greffier_sim.fuzz "$@" ;;
        soak) exec "$VENV/bin/python" -m greffier_sim.soak "$@" ;;
        test)
            if [ "${1:-}" = --power ]; then
                shift
                exec "$VENV/bin/python" -m greffier_sim.power_cuts "$@"
            fi
            lint
            # All of it: one worker more than there are cores, since stories mostly wait for something.
            # Whoever names what to run has it in one process, where a debugger works.
            [ $# -gt 0 ] || set -- -n "$(($(nproc) + 1))" --dist loadfile --no-loadscope-reorder
            exec "$VENV/bin/python" -m pytest "$@"
            ;;
    esac
}

main "$@"
