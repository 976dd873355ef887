#!/usr/bin/env bash
# A tree with one include of every forbidden kind: check-layering must name each, and nothing that is allowed.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bpf,cli,tests/unit} "$tree"/userspace/{core,config,control,agent,dataplane}

put() { printf '#include %s\n' "${@:2}" >"$tree/$1"; }
put userspace/core/a.h '"config/config.h"' '"core/ip.h"' '<vector>'
put userspace/config/a.cc '"core/ip.h"' '"dataplane/dataplane.h"' '<yaml-cpp/yaml.h>'
put userspace/agent/a.cc '"abi.h"' '"dataplane/dataplane.h"' '<bpf/libbpf.h>'
put userspace/dataplane/a.cc '"abi.h"' '<bpf/libbpf.h>' '"core/desired.h"'
put userspace/control/a.cc '"agent/options.h"' '<prometheus/registry.h>'
put cli/a.cc '"control/client.h"' '"control/server.h"' '"config/config.h"'
put tests/unit/a.cc '"lvs.skel.h"' '"core/ip.h"'

expected='cli/a.cc:2 cli/a.cc:3 tests/unit/a.cc:1 userspace/agent/a.cc:1 userspace/agent/a.cc:3 userspace/config/a.cc:2 userspace/control/a.cc:1 userspace/core/a.h:1'
if found=$("$here"/scripts/check-layering "$tree"); then
  echo "check-layering says that all is well"
  exit 1
fi
lines=$(sed -E 's/^([^:]+:[0-9]+).*/\1/' <<<"$found" | sort | xargs)
[[ $lines == "$expected" ]] || { printf 'expected: %s\nfound:    %s\n%s\n' "$expected" "$lines" "$found"; exit 1; }
