# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: kernels and an initramfs of 40 MB arrive whole; with Linux 6.8 and later, while the guest runs
# set: ci
# limit: 240
. "$LAB_DIR/lib.sh"

only_on_x86 'vmlinux'
release=$(uname -r)
minor=${release#*.} minor=${minor%%.*}
while_it_runs=
[ ! -e /dev/userfaultfd ] || [ "$((${release%%.*} * 1000 + minor))" -lt 6008 ] || while_it_runs=1

head -c 40000000 /dev/urandom >"$LAB_TMP/data"
LAB_INITRD=$LAB_TMP/initrd.cpio
{
	cat "$LAB_DIR/guest.cpio"
	(cd "$LAB_TMP" && echo data | busybox cpio -o -H newc)
} >"$LAB_INITRD"
sum=$(md5sum <"$LAB_TMP/data" | cut -c 1-32)

# when MARK: its place among the timeline's marks.
when() {
	"$LAB_XVMM" timeline "$LAB_TMP/timeline.json" | grep -n " $1\$" | cut -d : -f 1
}
for LAB_KERNEL in "$LAB_DIR/bzImage" "$LAB_DIR/vmlinux"; do
	for memory in 512M 512M,shared=on; do
		echo "# ${LAB_KERNEL##*/}, --memory $memory"
		# shellcheck disable=SC2016 # for the guest
		expect_status 0 lab_xvmm 'say sum=$(md5sum </data | cut -c 1-32)' --memory "$memory" \
			--timeline "$LAB_TMP/timeline.json"
		expect_value sum "$sum"
		before=kernel-loaded after=first-guest-instruction
		if [ "$while_it_runs" ] && [ "$memory" = 512M ]; then
			before=first-guest-instruction after=kernel-loaded
		fi
		[ "$(when $before)" -lt "$(when $after)" ] || lab_fail "$after before $before"
	done
done
