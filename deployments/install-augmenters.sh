#!/bin/sh
# Installs the tools of two augmenters from Debian's packages: Apertium with its English-Spanish pair, and WordNet's
# files. If it cannot, it prints why and exits with 0: a run and its report name the augmenters that are off.
set -u
packages="apertium apertium-eng-spa wordnet-base"

present() { apertium -l 2>/dev/null | grep -q eng-spa && [ -f /usr/share/wordnet/index.noun ]; }
off() { echo "$1, so back-translation and synonyms stay off; to turn them on: apt-get install $packages" >&2; exit 0; }

present && exit 0
command -v apt-get >/dev/null || off "this system has no apt-get"
if [ "$(id -u)" = 0 ]; then root=""; elif sudo -n true 2>/dev/null; then root="sudo -n"; else off "no permission to install packages"; fi
echo "installing Apertium and WordNet ..." >&2
install() { $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages </dev/null >/dev/null 2>&1; }
install || { $root apt-get update -qq </dev/null >/dev/null 2>&1 && install; }
present || off "apt-get could not install $packages"
