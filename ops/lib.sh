# Shell functions of the scripts in ops/: finding and installing Postgres and Redis, and a scratch pair of them for
# tests. Sourced, never run. Needs bash 3.2 (macOS).

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target_dir=${CARGO_TARGET_DIR:-$root_dir/target}
min_postgres=15 # views with security_invoker

# --- finding -----------------------------------------------------------------------------------------------------

# Prints the directory of the newest Postgres server binaries, or fails.
find_postgres() {
  local dir best='' best_major=0 major
  for dir in "${SWITCHBOARD_POSTGRES_BIN:-}" "$(dirname "$(command -v initdb || true)")" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
    /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /usr/local/pgsql/bin; do
    [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] || continue
    dir=$(dirname "$(readlink -f "$dir/postgres" 2>/dev/null || echo "$dir/postgres")") # psql lies beside the real one
    major=$("$dir/postgres" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
    if [ "$major" -ge "$min_postgres" ] && [ "$major" -gt "$best_major" ]; then best=$dir best_major=$major; fi
  done
  [ -n "$best" ] && printf '%s\n' "$best"
}

find_redis() { command -v redis-server || command -v valkey-server; }

find_chromium() { command -v "${SWITCHBOARD_CHROMIUM:-chromium}" || command -v chromium-browser || command -v google-chrome; }

# --- installing --------------------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "installing packages needs root or sudo; run as root: $*"
  fi
}

# need_services [postgres] [redis] [chromium]: installs those that are missing, and a C compiler if there is none.
need_services() {
  local service missing=''
  for service in "$@"; do
    case $service in
      postgres) find_postgres >/dev/null || missing="$missing postgres" ;;
      redis) find_redis >/dev/null || missing="$missing redis" ;;
      chromium) find_chromium >/dev/null || missing="$missing chromium" ;;
    esac
  done
  command -v cc >/dev/null || missing="$missing cc"
  [ -n "$missing" ] || return 0
  if command -v apt-get >/dev/null; then install_apt $missing
  elif command -v dnf >/dev/null; then install_dnf $missing
  elif command -v brew >/dev/null; then install_brew $missing
  else die "missing:$missing. No apt-get, dnf or brew here: install Postgres $min_postgres or later and Redis 6.2 or later yourself, or set DATABASE_URL and REDIS_URL."
  fi
  for service in "$@"; do
    case $service in
      postgres) find_postgres >/dev/null || die "the packages of this system hold no Postgres $min_postgres or later: install one (https://www.postgresql.org/download/), or set DATABASE_URL" ;;
      redis) find_redis >/dev/null || die "Redis was installed but redis-server is not on the PATH; set REDIS_URL to use another" ;;
      chromium) find_chromium >/dev/null || die "the packages of this system hold no Chromium: install it, or set SWITCHBOARD_CHROMIUM to a browser of its kind" ;;
    esac
  done
}

# Packages are installed with their daemons held back: `switchboard up` runs private instances of its own, and a
# daemon that is already running here is neither restarted nor changed.
install_apt() {
  local packages='' held=no service clusters_before
  for service in "$@"; do
    case $service in postgres) packages="$packages postgresql" ;; redis) packages="$packages redis-server" ;; chromium) packages="$packages chromium" ;; cc) packages="$packages gcc libc6-dev" ;; esac
  done
  say "installing with apt-get:$packages (only the programs are needed: private instances are run, no system service is started)"
  clusters_before=$(ls -d /etc/postgresql/*/* 2>/dev/null || true)
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root sh -c 'cat >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d'
    held=yes
  fi
  local failed=no
  { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $packages; } >&2 || failed=yes
  [ "$held" = no ] || as_root rm -f /usr/sbin/policy-rc.d
  [ "$failed" = no ] || die "apt-get could not install:$packages"
  # A cluster that this installation made shall not start at the next boot either; older ones keep their setting.
  local cluster
  for cluster in /etc/postgresql/*/*; do
    [ -e "$cluster/start.conf" ] || continue
    case "$clusters_before" in *"$cluster"*) ;; *) echo manual | as_root sh -c "cat >'$cluster/start.conf'" ;; esac
  done
  case "$packages" in *redis-server*) [ ! -d /run/systemd/system ] || as_root systemctl disable --quiet redis-server || true ;; esac
}

install_dnf() { # dnf neither starts nor enables what it installs
  local packages='' service
  for service in "$@"; do
    case $service in postgres) packages="$packages postgresql-server" ;; redis) packages="$packages redis" ;; chromium) packages="$packages chromium" ;; cc) packages="$packages gcc" ;; esac
  done
  say "installing with dnf:$packages (no system service is started)"
  as_root dnf install -qy $packages >&2 || { case "$packages" in *redis*) as_root dnf install -qy ${packages/redis/valkey} >&2 ;; *) false ;; esac; } ||
    die "dnf could not install:$packages"
}

install_brew() { # brew neither starts nor enables what it installs
  local packages='' service
  for service in "$@"; do
    case $service in postgres) packages="$packages postgresql@17" ;; redis) packages="$packages redis" ;; chromium) packages="$packages chromium" ;; cc) die "no C compiler: run xcode-select --install" ;; esac
  done
  say "installing with brew:$packages (no system service is started)"
  brew install -q $packages >&2 || die "brew could not install:$packages"
}

need_cargo() {
  command -v cargo >/dev/null || { [ ! -r "$HOME/.cargo/env" ] || . "$HOME/.cargo/env"; }
  command -v cargo >/dev/null || die "no Rust toolchain: install one from https://rustup.rs"
}

# Python with venv and pip, for the tools of ops/check.
need_python_venv() {
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 && return 0
  if command -v apt-get >/dev/null; then
    say "installing with apt-get: python3 python3-venv"
    { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends python3 python3-venv; } >&2 ||
      die "apt-get could not install python3-venv"
  else
    die "python3 with venv is missing: install Python 3.10 or later"
  fi
}

# --- a scratch Postgres and Redis --------------------------------------------------------------------------------

scratch_pids='' scratch_postgres_pid='' scratch_dir=''

# Postgres refuses to run as root.
as_postgres() {
  if [ "$(id -u)" != 0 ]; then "$@"
  elif command -v setpriv >/dev/null; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
  else runuser -u postgres -- "$@"
  fi
}

# A port nobody listens on, below the range that outgoing connections use.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

make_scratch() {
  [ -z "$scratch_dir" ] || return 0
  scratch_dir=$(mktemp -d "${TMPDIR:-/tmp}/switchboard-scratch.XXXXXX")
  chmod 755 "$scratch_dir"
}

# Sets scratch_postgres_url to a superuser's URL. What it holds is thrown away, so it does not wait for the disk.
start_scratch_postgres() {
  local bin port data
  make_scratch
  bin=$(find_postgres) port=$(free_port) data=$scratch_dir/postgres
  mkdir "$data"
  [ "$(id -u)" != 0 ] || chown postgres "$data"
  (cd "$data" && as_postgres "$bin/initdb" -D "$data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 >"$scratch_dir/initdb.log" 2>&1 ||
    as_postgres "$bin/initdb" -D "$data" -U postgres --auth=trust -E UTF8 --locale=C >"$scratch_dir/initdb.log" 2>&1) ||
    { cat "$scratch_dir/initdb.log" >&2; die "initdb failed"; }
  (cd "$data" && as_postgres "$bin/postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400 -c shared_buffers=256MB) \
    </dev/null >"$scratch_dir/postgres.log" 2>&1 &
  scratch_postgres_pid=$!
  scratch_postgres_url=postgres://postgres@127.0.0.1:$port/postgres
  local tries=0
  until "$bin/psql" -qAt "$scratch_postgres_url" -c 'SELECT 1' >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || { tail -n 20 "$scratch_dir/postgres.log" >&2; die "the scratch Postgres did not start"; }
    sleep 0.2
  done
}

# Sets scratch_redis_url.
start_scratch_redis() {
  local port
  make_scratch
  port=$(free_port)
  "$(find_redis)" --port "$port" --bind 127.0.0.1 --dir "$scratch_dir" --save '' --appendonly no </dev/null >"$scratch_dir/redis.log" 2>&1 &
  scratch_pids="$scratch_pids $!"
  scratch_redis_url=redis://127.0.0.1:$port
  local tries=0
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { tail -n 20 "$scratch_dir/redis.log" >&2; die "the scratch Redis did not start"; }
    sleep 0.1
  done
}

# Stops what start_scratch_* started and removes it. For a trap on EXIT.
stop_scratch() {
  local pid
  if [ -n "$scratch_postgres_pid" ]; then
    kill -QUIT "$(head -n 1 "$scratch_dir/postgres/postmaster.pid" 2>/dev/null || echo "$scratch_postgres_pid")" 2>/dev/null || true # at once: nothing is kept
    wait "$scratch_postgres_pid" 2>/dev/null || true
  fi
  for pid in $scratch_pids; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  [ -z "$scratch_dir" ] || rm -rf "$scratch_dir"
  scratch_pids='' scratch_postgres_pid='' scratch_dir=''
}
