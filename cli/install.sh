# Installs `sam`, the command line, on Linux and macOS:
#
#   curl -fsSL https://SERVER/api/cli/install | sh
#
# Asks the server which file is released for this system, downloads it, compares
# its SHA-256 with the one that the release names, and only then moves it to
# $SAM_INSTALL_DIR, by default ~/.local/bin. What does not compare is deleted,
# and what was installed before stays as it was.
#
# Everything is in functions, so that half a script does nothing.
set -eu

fail() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

# fetch URL FILE
fetch() {
  if command -v curl >/dev/null 2>&1; then
    curl -fsS -o "$2" "$1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "$1"
  else
    fail 'Neither curl nor wget is here.' 'Install one of them and run this again.'
  fi || fail "$1 could not be fetched." 'Open it in a browser: the server says there what is wrong.'
}

sha256() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum "$1"
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 "$1"
  else
    fail 'Neither sha256sum nor shasum is here, so the download cannot be checked.' \
      'Install one of them (coreutils has it) and run this again.'
  fi | cut -d ' ' -f 1
}

# The SHA-256 that the release in a file names for a platform; nothing when it names none.
released() {
  tr '{' '\n' <"$1" | grep "\"os\":\"$2\"" | grep "\"arch\":\"$3\"" |
    sed -n 's/.*"sha256":"\([0-9a-f]\{64\}\)".*/\1/p'
}

main() {
  [ -n "${SAM_API_URL:-}" ] || fail 'SAM_API_URL is not set.' \
    'Set it to the server, or fetch this script from SERVER/api/cli/install.'
  server=${SAM_API_URL%/}
  directory=${SAM_INSTALL_DIR:-${HOME:?}/.local/bin}
  case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "sam is not built for $(uname -s)." ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "sam is not built for the processor $(uname -m)." ;;
  esac

  mkdir -p "$directory"
  scratch=$(mktemp -d "$directory/.sam-install.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' HUP INT TERM
  fetch "$server/api/cli/version" "$scratch/release.json"
  wanted=$(released "$scratch/release.json" "$os" "$arch")
  [ -n "$wanted" ] || fail "No sam is released for $os/$arch." "See $server/tools/cli."
  fetch "$server/api/cli/download?os=$os&arch=$arch" "$scratch/sam"
  got=$(sha256 "$scratch/sam")
  [ "$got" = "$wanted" ] || fail \
    "The download does not have the checksum of the release; nothing was installed. (sha256 $got, released $wanted)" \
    'Run this again. If it happens again, tell whoever runs the server.'
  chmod 755 "$scratch/sam"
  version=$("$scratch/sam" --version) || fail 'The downloaded program does not run here; nothing was installed.'
  mv -f "$scratch/sam" "$directory/sam"

  printf '%s is installed: %s\n' "$version" "$directory/sam"
  case ":$PATH:" in
    *":$directory:"*) ;;
    *) printf 'It is not on your PATH yet: export PATH="%s:$PATH"\n' "$directory" ;;
  esac
  printf 'Begin with: sam auth login --url %s\n' "$server"
}

main
