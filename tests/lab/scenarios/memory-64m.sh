# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: 64 MiB of guest memory
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

# A bzImage would unpack itself beyond 64 MiB, and the files in tracefs alone take
# half of what the cloud kernel leaves free.
[ ! -e "$LAB_DIR/vmlinux" ] || LAB_KERNEL=$LAB_DIR/vmlinux
LAB_APPEND=initcall_blacklist=tracer_init_tracefs
expect_status 0 lab_xvmm report --memory 64M
expect_ram 64
