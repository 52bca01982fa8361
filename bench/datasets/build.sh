#!/usr/bin/env bash
# Makes the data sets of datasets.bench.ts from Debian 12 packages, which are only unpacked. See README.md.
#
#   bash bench/datasets/build.sh OUT PACKAGES
#
# OUT gets one folder per data set; PACKAGES keeps the packages (1.5 GB) and their contents (2.1 GB). Needs apt-get (after
# `apt-get update`), dpkg-deb, and python3 with Pillow (python3-pil).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || { echo 'Usage: build.sh OUT PACKAGES' >&2; exit 2; }
mkdir -p "$1" "$2"
out=$(cd "$1" && pwd)
cd "$2"
for package in stellarium-data ufoai-textures nexuiz-textures openarena-081-textures openclipart-png \
  tuxpaint-stamps-default gcompris-qt-data opencv-doc; do
  [ -d "$package" ] && continue
  compgen -G "${package}_*.deb" > /dev/null || apt-get download "$package"
  rm -rf "$package.part"
  dpkg-deb -x "${package}"_*.deb "$package.part"
  mv "$package.part" "$package"
done
/usr/bin/python3 "$here/build.py" --packages . --out "$out"
