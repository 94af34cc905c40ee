#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is installed, at any prefix, is enough for programs of others: by pkg-config and by CMake,
# shared and static, from C++; and they see the functions of xvmm.h and nothing else. BUILD is the
# build directory, SOURCE the project.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
: "${BUILD:?the build directory}" "${SOURCE:?the project}"
require_kvm

prefix_dir=$work/usr
cmake --install "$BUILD" --prefix "$prefix_dir" >"$work/log" 2>&1 || {
	cat "$work/log"
	exit 1
}
library=$(dirname "$(find "$prefix_dir" -name libxvmm.so)")
export PKG_CONFIG_PATH=$library/pkgconfig LD_LIBRARY_PATH=$library

# try NAME COMMAND...: a command that is to succeed.
try() {
	local name=$1 problem=
	shift
	: >"$work/out"
	"$@" >"$work/err" 2>&1 || problem="it fails: $*"
	verdict "$name" "$problem"
}

# boots NAME PROGRAM: which is given a guest that powers off.
boots() {
	timeout 60 "$2" "$GUESTS/poweroff.elf" >"$work/out" 2>"$work/err"
	status=$? left=
	judge "$1" 0
}

declared=$(sed -n 's/^.*\<\(xvmm_[a-z_]*\)(.*/\1/p' "$prefix_dir/include/xvmm.h" | grep -v '^ *\*' | sort -u)
exported=$(nm -D --defined-only "$library/libxvmm.so" | awk '$2 == "T" { sub("@.*", "", $3); print $3 }' | sort)
archived=$(nm -g --defined-only "$library/libxvmm.a" | awk 'NF == 3 { print $3 }' | sort)
printf '%s\n' "$declared" >"$work/out"
printf '%s\n' "$exported" >"$work/err"
problem=
[ -n "$exported" ] && [ "$declared" = "$exported" ] || problem='the shared library exports something else'
[ "$declared" = "$archived" ] || problem=${problem:-"the static library shows something else: $archived"}
verdict 'the functions of xvmm.h, and nothing else' "$problem"

cd "$work" || exit 1
# shellcheck disable=SC2046 # options
try 'compiled with pkg-config' cc -Wall -Wextra -Werror "$SOURCE/examples/embed.c" $(pkg-config --cflags --libs libxvmm) -o shared
boots 'a guest, by the shared library' ./shared
# shellcheck disable=SC2046 # options
try 'compiled as a static program' cc -static "$SOURCE/examples/embed.c" $(pkg-config --static --cflags --libs libxvmm) -o static
LD_LIBRARY_PATH='' boots 'a guest, by the static library' ./static

mkdir project
cat >project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(embedding C)
find_package(xvmm 0.1 REQUIRED)
find_package(xvmm 0.1 REQUIRED) # as in a folder below
foreach(kind xvmm static)
  add_executable(${kind} ${SOURCE}/examples/embed.c)
  target_link_libraries(${kind} PRIVATE xvmm::${kind})
endforeach()
END
try 'configured with find_package(xvmm)' cmake -S project -B project/build -DCMAKE_PREFIX_PATH="$prefix_dir" -DSOURCE="$SOURCE"
try 'built with it' cmake --build project/build
boots 'a guest, by CMake' project/build/xvmm
LD_LIBRARY_PATH='' boots 'a guest, by CMake and the static library' project/build/static

printf '#include <xvmm.h>\nint main() { xvmm_config config = {}; return config.n_nets || !xvmm_version(); }\n' >c++.cc
try 'C++' clang -x c++ -Wall -Wextra -Wpedantic -Werror -I "$prefix_dir/include" -fsyntax-only c++.cc
done_testing
