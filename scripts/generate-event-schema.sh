#!/bin/sh
# Makes src/train/generated/event_pb.ts from src/train/event.proto. Needs Debian's protobuf-compiler (3.21) and this
# package's development dependencies.
set -eu
cd "$(dirname "$0")/.."
mkdir -p src/train/generated
protoc -I src/train --plugin=./node_modules/.bin/protoc-gen-es \
  --es_out=src/train/generated --es_opt=target=ts,import_extension=none event.proto
sed -i '/^\/\*\*$/,/^ \*\/$/d; /^ *\/\*\*$/,/^ *\*\/$/d' src/train/generated/event_pb.ts
