# Switchboard as a target of an external webhook-storm driver. The driver sources this file with PSQL, PGPORT, REDIS_PORT,
# WORK and OUTBOUND set (see README.md) and calls reset, start, procs, stop in a subshell, which they end
# when they fail; it uses URL, DSN, SQL and IDS_SQL.
# shellcheck shell=bash disable=SC2034
NAME=switchboard
URL=http://127.0.0.1:5480/api/webhook
DSN="host=127.0.0.1 port=$PGPORT user=bench dbname=switchboard"
# Distinct inbound messages and seeded outbound messages that have been read.
SQL="SELECT count(*) FROM chat_messages WHERE direction = 'inbound' OR status = 'read'"
IDS_SQL="SELECT external_id FROM chat_messages WHERE direction = 'inbound'"

switchboard_bench_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
switchboard_bin=${SWITCHBOARD_BIN:-$switchboard_bench_dir/../../target/release}

# Replaces the shell by the command, so that $! of a background call is the command itself and not a shell around it,
# whose end would leave the command running. In the foreground call it in brackets.
switchboard_exec() { # command...
  exec env DATABASE_URL="postgres://bench@127.0.0.1:$PGPORT/switchboard" REDIS_URL="redis://127.0.0.1:$REDIS_PORT/0" \
    META_APP_SECRET=bench-app-secret META_VERIFY_TOKEN=bench-verify-token LOG_LEVEL=info SWITCHBOARD_HOME="$WORK/switchboard-home" "$@"
}

switchboard_is_up() { [ "$(curl -s -o /dev/null -m 2 -w '%{http_code}' http://127.0.0.1:5480/health)" = 200 ]; }

reset() {
  # Two runs at once would drop each other's database and measure each other's processes.
  if (exec 3<>/dev/tcp/127.0.0.1/5480) 2>/dev/null; then
    echo "w1-target: something listens on port 5480: is another run going on?" >&2
    exit 1
  fi
  redis-cli -p "$REDIS_PORT" FLUSHDB >/dev/null
  $PSQL postgres -c 'DROP DATABASE IF EXISTS switchboard WITH (FORCE)' -c 'CREATE DATABASE switchboard'
  # The driver's ten channels, and any other that the seeded messages name.
  local numbers
  numbers=$( (seq 106540352242900 106540352242909; cut -f2 "$OUTBOUND") | sort -u | paste -sd, -)
  (switchboard_exec "$switchboard_bin/switchboard" migrate) >"$WORK/switchboard-migrate.log" 2>&1 &&
    (switchboard_exec "$switchboard_bin/switchboard" seed --whatsapp-numbers "$numbers") >>"$WORK/switchboard-migrate.log" 2>&1 ||
    { cat "$WORK/switchboard-migrate.log" >&2; exit 1; }
  $PSQL switchboard -c 'CREATE TABLE outbound_import (wamid text, phone_number_id text, wa_id text, name text)'
  $PSQL switchboard -c '\copy outbound_import FROM pstdin' <"$OUTBOUND"
  { echo 'CREATE TEMPORARY TABLE outbound_seed AS SELECT * FROM outbound_import;'; cat "$switchboard_bench_dir/sql/seed_outbound.sql"; } | $PSQL switchboard
  $PSQL switchboard -c 'DROP TABLE outbound_import' -c 'VACUUM ANALYZE' -c CHECKPOINT
}

start() {
  switchboard_exec PORT=5480 METRICS_PORT=5481 "$switchboard_bin/switchboard-api" >"$WORK/switchboard-api.log" 2>&1 &
  API=$!
  switchboard_exec METRICS_PORT=5482 "$switchboard_bin/switchboard-worker" >"$WORK/switchboard-worker.log" 2>&1 &
  WORKER=$!
  local tries=0
  until switchboard_is_up &&
    [ "$($PSQL switchboard -c 'SELECT count(*) FROM job_workers')" -gt 0 ]; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 "$API" || ! kill -0 "$WORKER"; then
      tail -n 5 "$WORK/switchboard-api.log" "$WORK/switchboard-worker.log" >&2
      stop
      exit 1
    fi
    sleep 0.1
  done
}

procs() { echo "api=$API worker=$WORKER"; }

stop() { # SIGTERM, and wait until they have given back what they held
  local pid tries
  kill "$API" "$WORKER" 2>/dev/null || true
  for pid in "$API" "$WORKER"; do
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 300 ]; do tries=$((tries + 1)); sleep 0.05; done
    kill -9 "$pid" 2>/dev/null || true
  done
  wait "$API" "$WORKER" 2>/dev/null || true
}
