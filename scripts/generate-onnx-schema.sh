#!/bin/sh
# Makes src/onnx/generated/onnx_pb.ts from the ONNX project's own schema (Apache-2.0). Needs Debian's protobuf-compiler
# and libonnx-dev (ONNX 1.12, IR version 8, opset 17) and this package's development dependencies.
set -eu
cd "$(dirname "$0")/.."
mkdir -p src/onnx/generated
protoc -I /usr/include/onnx --plugin=./node_modules/.bin/protoc-gen-es \
  --es_out=src/onnx/generated --es_opt=target=ts,import_extension=none onnx.proto
sed -i '/^\/\*\*$/,/^ \*\/$/d; /^ *\/\*\*$/,/^ *\*\/$/d' src/onnx/generated/onnx_pb.ts
