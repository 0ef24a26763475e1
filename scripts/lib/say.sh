# Words on stderr, the same in every script. Sourced.

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' RESET=$'\e[0m'
else
  BOLD='' DIM='' RED='' GREEN='' RESET=''
fi

# say TEXT: one line.
say() { printf '%s\n' "$*" >&2; }

# step TEXT: the heading of something that takes a while.
step() { printf '%s\n' "${BOLD}› $*${RESET}" >&2; }

# detail TEXT: a line a person may skip.
detail() { printf '%s\n' "${DIM}  $*${RESET}" >&2; }

# fail WHAT HOW: names what is missing or broken and what to do, and exits.
fail() {
  printf '%s\n' "${RED}✗ $1${RESET}" >&2
  [ -n "${2:-}" ] && printf '  %s\n' "$2" >&2
  exit "${3:-1}"
}

# took SECONDS: a duration for people.
took() {
  if [ "$1" -ge 60 ]; then printf '%dm %02ds' $(($1 / 60)) $(($1 % 60)); else printf '%ds' "$1"; fi
}
