# SPDX-License-Identifier: Apache-2.0
# Cross-building for aarch64: cmake -B build-aarch64 --toolchain cmake/aarch64-linux-gnu.cmake
#
# It takes gcc-aarch64-linux-gnu and qemu-user (which runs what the build makes and runs), and the
# libraries' arm64 packages: installed, or unpacked by tests/setup aarch64, which needs no room in
# the system's own database for them. XVMM_SYSROOT names where.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

if(DEFINED ENV{XVMM_SYSROOT})
  set(sysroot $ENV{XVMM_SYSROOT})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(sysroot $ENV{XDG_CACHE_HOME}/xvmm-sysroot/aarch64)
else()
  set(sysroot $ENV{HOME}/.cache/xvmm-sysroot/aarch64)
endif()
if(IS_DIRECTORY ${sysroot})
  set(CMAKE_FIND_ROOT_PATH ${sysroot})
  set(ENV{PKG_CONFIG_SYSROOT_DIR} ${sysroot})
  # What a library of the sysroot loads itself.
  set(CMAKE_EXE_LINKER_FLAGS_INIT -Wl,-rpath-link,${sysroot}/usr/lib/aarch64-linux-gnu)
  set(CMAKE_SHARED_LINKER_FLAGS_INIT ${CMAKE_EXE_LINKER_FLAGS_INIT})
  set(emulator_libraries -E LD_LIBRARY_PATH=${sysroot}/usr/lib/aarch64-linux-gnu:${sysroot}/lib/aarch64-linux-gnu)
else()
  set(sysroot "")
endif()
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(ENV{PKG_CONFIG_LIBDIR}
  ${sysroot}/usr/lib/aarch64-linux-gnu/pkgconfig:${sysroot}/usr/share/pkgconfig)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu ${emulator_libraries})
