# Sourced by deploy/demo and tests/run, which stand in the checkout's root: makes the virtual environment
# .venv there and keeps it at the locked versions. Uses uv where it is present, else venv and pip.
# shellcheck shell=bash

VENV_PYTHON=.venv/bin/python

# Images of containers often set this. Then nothing compiled would be kept, and each start takes seconds longer.
unset PYTHONDONTWRITEBYTECODE

fail() {
  echo "$1" >&2
  exit 1
}

has_uv() { command -v uv >/dev/null 2>&1; }

# Running it is the test: a name on PATH can be a stub that points nowhere.
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local name
  for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if is_new_enough "$name"; then
      echo "$name"
      return
    fi
  done
  return 1
}

make_venv() {
  is_new_enough "$VENV_PYTHON" && return
  echo "Making a virtual environment in .venv ..."
  if has_uv; then
    rm -rf .venv # its own --clear is not known to all versions, and leaves alone what is half an environment
    uv venv --quiet --python "$(find_python || echo '>=3.11')" .venv
    return
  fi
  local python
  python=$(find_python) || fail "Penstock needs Python 3.11 or newer, and there is none on PATH.
Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python), or install uv."
  # Debian ships venv's other half as a package of its own.
  "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python lacks the modules venv and ensurepip.
Install them (Debian, Ubuntu: apt install python3-venv), or install uv."
  "$python" -m venv --clear .venv
}

pip_install() {
  if has_uv; then
    uv pip install --quiet --python "$VENV_PYTHON" "$@"
    return
  fi
  # An environment that uv made has no pip.
  "$VENV_PYTHON" -m pip --version >/dev/null 2>&1 || "$VENV_PYTHON" -m ensurepip >/dev/null
  # Most modules are never imported; those that are compile themselves.
  "$VENV_PYTHON" -m pip install --no-compile -qq --disable-pip-version-check --no-input "$@"
}

# What an environment depends on; the folder too, since it is written into the installed files, and Python's
# version, which a system's upgrade changes under the environment.
fingerprint() { { pwd && "$VENV_PYTHON" -V && cat "$1" pyproject.toml; } | cksum; }

stamp() { echo ".venv/.installed-$(echo "$1" | tr / -)"; }

# Installs the first lock file and the project itself, unless that is done. Further files are parts of the first.
install_locked() {
  local requirements=$1 file
  make_venv
  [ "$(cat "$(stamp "$requirements")" 2>/dev/null)" = "$(fingerprint "$requirements")" ] && return
  echo "Installing $requirements ..."
  pip_install --require-hashes --requirement "$requirements"
  pip_install --no-deps --no-build-isolation --editable .
  for file in "$@"; do
    fingerprint "$file" >"$(stamp "$file")"
  done
}
