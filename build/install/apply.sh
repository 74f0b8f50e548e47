#!/bin/sh
# Applies the patches to a checkout of llama.cpp @LLAMA@: patches/apply.sh path/to/llama.cpp
# All of them, or none: what does not fit leaves the checkout as it is.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
to=${1:?name the llama.cpp checkout, as in: patches/apply.sh path/to/llama.cpp}
if [ ! -f "$to/include/llama.h" ]; then
    echo "$to has no include/llama.h: name a checkout of llama.cpp @LLAMA@" >&2
    exit 1
fi
to=$(CDPATH= cd -- "$to" && pwd -P)
# A repository around the checkout would make git skip every file.
GIT_CEILING_DIRECTORIES=$(dirname -- "$to")
export GIT_CEILING_DIRECTORIES
cd "$to"
if ! git -c core.autocrlf=false apply --whitespace=nowarn "$here"/*.patch; then
    echo "$to is as it was: it must be llama.cpp @LLAMA@, without these patches" >&2
    exit 1
fi
cp "$here/../include/retroattn.h" src/retroattn.h
echo "Applied to $to. Build it with: cmake -B build -DLLAMA_RETRO_ATTN=ON && cmake --build build"
