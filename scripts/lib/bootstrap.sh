# Makes sure that what this repository needs is there. Sourced after say.sh,
# with ROOT set to the repository.
#
#   bootstrap        what building and running needs
#   bootstrap_tests  what the tests need beside it
#
# Installs only what belongs to the repository: the Rust toolchain named in
# rust-toolchain.toml (into rustup's home) and the npm packages of
# package-lock.json (into node_modules). Programs of the system are named, with
# what to do; Chromium alone is installed, and only by root on Debian or Ubuntu.

# install_hint PACKAGE: how to install a program of the system here.
install_hint() {
  if command -v apt-get >/dev/null; then
    printf 'Install it: sudo apt-get update && sudo apt-get install -y %s' "$1"
  elif command -v dnf >/dev/null; then
    printf 'Install it: sudo dnf install -y %s' "$1"
  elif command -v brew >/dev/null; then
    printf 'Install it: brew install %s' "$1"
  else
    printf "Install %s with your system's package manager." "$1"
  fi
}

# require_disk KILOBYTES WHY: refuses to begin what cannot end.
require_disk() {
  local free
  free=$(df -Pk "$ROOT" | awk 'NR == 2 { print $4 }')
  [ "${free:-0}" -ge "$1" ] || fail \
    "Not enough disk space in $ROOT: $((free / 1024)) MB free, $2 needs about $(($1 / 1024)) MB." \
    "Free some space, or clone the repository onto a larger disk."
}

require_programs() {
  command -v git >/dev/null || fail "git is missing." "$(install_hint git)"
  command -v cc >/dev/null || fail \
    "A C compiler (cc) is missing; SQLite is compiled into the vm-agent." "$(install_hint gcc)"
  command -v node >/dev/null || fail \
    "Node.js is missing; any version that runs npm will do, which brings the rest." \
    "Get it from https://nodejs.org, or: $(install_hint 'nodejs npm')"
  command -v npm >/dev/null || fail "npm is missing." "$(install_hint npm)"
}

# toolchain_value KEY: a value of rust-toolchain.toml, lists comma-separated.
toolchain_value() {
  sed -n "s/^$1 *= *//p" "$ROOT/rust-toolchain.toml" | tr -d '[]" ' 
}

require_rust() {
  local channel components targets
  channel=$(toolchain_value channel)
  components=$(toolchain_value components)
  targets=$(toolchain_value targets)
  if ! command -v rustup >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/rustup" ]; then
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  fi
  if ! command -v rustup >/dev/null; then
    fail "rustup is missing; it installs Rust $channel, which compiles everything here." \
      "Get it from https://rustup.rs, open a new terminal, and run this again."
  fi
  # Installing is this script's doing, said aloud, and not a side effect of cargo.
  export RUSTUP_AUTO_INSTALL=0
  if ! has_toolchain "$channel" "$components" "$targets"; then
    step "Installing Rust $channel with the $targets target"
    rustup toolchain install "$channel" --profile minimal \
      --component "$components" --target "$targets" --no-self-update >&2 ||
      fail "rustup could not install Rust $channel." \
        "Check the network connection, then run: rustup toolchain install $channel"
  fi
}

has_toolchain() {
  local listed
  rustup which --toolchain "$1" rustc >/dev/null 2>&1 || return 1
  listed=$(rustup component list --toolchain "$1" --installed 2>/dev/null)
  local name
  for name in ${2//,/ }; do grep -q "^$name" <<<"$listed" || return 1; done
  for name in ${3//,/ }; do grep -q "^rust-std-$name" <<<"$listed" || return 1; done
}

require_npm_packages() {
  local stamp="$ROOT/node_modules/.sam-installed" wanted
  wanted=$(cat "$ROOT/package.json" "$ROOT/package-lock.json" | cksum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    step "Installing the npm packages (about 1 GB, once)"
    (cd "$ROOT" && npm ci --loglevel=error) >&2 ||
      fail "npm could not install the packages of package-lock.json." \
        "Check the network connection and the output above, then run this again."
    printf '%s\n' "$wanted" >"$stamp"
  fi
  PATH="$ROOT/node_modules/.bin:$PATH"
  export PATH
}

# Runs nothing that phones home.
export WRANGLER_SEND_METRICS=false CLOUDFLARE_CF_FETCH_ENABLED=false
export X_LOCAL_OBSERVABILITY=false X_LOCAL_EXPLORER=false

bootstrap() {
  require_programs
  require_rust
  require_npm_packages
}

# Sets SAM_CHROMIUM to a Chromium the browser tests can drive.
require_chromium() {
  local name
  for name in "${SAM_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && command -v "$name" >/dev/null; then
      SAM_CHROMIUM=$(command -v "$name")
      export SAM_CHROMIUM
      return
    fi
  done
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    step "Installing Chromium for the browser tests"
    if apt-get update >&2 &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium >&2 &&
      command -v chromium >/dev/null; then
      SAM_CHROMIUM=$(command -v chromium)
      export SAM_CHROMIUM
      return
    fi
  fi
  fail "Chromium is missing; the browser tests drive it." \
    "$(install_hint chromium), or set SAM_CHROMIUM to the path of one."
}

has_llvm_tools() {
  rustup component list --toolchain "$(toolchain_value channel)" --installed 2>/dev/null | grep -q '^llvm-tools'
}

# What reads the counts of the lines that ran, see coverage.mjs. Where it cannot be had, that step is skipped.
require_llvm_tools() {
  has_llvm_tools && return
  step "Installing the LLVM tools that read coverage"
  rustup component add llvm-tools --toolchain "$(toolchain_value channel)" >&2 || true
}

bootstrap_tests() {
  bootstrap
  require_llvm_tools
  require_chromium
}
