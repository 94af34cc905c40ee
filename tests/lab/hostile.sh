# shellcheck shell=dash
# SPDX-License-Identifier: Apache-2.0
# For scenarios in which a driver lies to vhost-net: tests/guest/hostile on tap0, with tap1 as the
# device that must not notice. A scenario that sources it says "lab_has hostile".
. "$LAB_DIR/lib.sh"

[ -c /dev/vhost-net ] || lab_skip "no /dev/vhost-net; try: modprobe vhost_net"

for tap in tap0 tap1; do
	ip tuntap add "$tap" mode tap vnet_hdr
	ip link set "$tap" up mtu 9000
	"$LAB_DIR/bin/echo_peer" "$tap" >"$LAB_TMP/$tap.log" 2>&1 &
done

# hostile TRANSPORT TOPIC: all its tricks, each also with a reset in the middle.
hostile() {
	echo "# $1, $2"
	"$LAB_XVMM" --kernel "$LAB_DIR/bin/hostile" --memory 128M --cpus 2 \
		--net "tap0,vhost=on,transport=$1" --net "tap1,transport=$1" \
		--cmdline "transport=$1 topic=$2 rings=elsewhere" \
		>"$LAB_TMP/hostile.log" 2>"$LAB_TMP/xvmm.log" ||
		lab_fail "$(grep -A 1 '^not ok' "$LAB_TMP/hostile.log" | head -n 40)"
	echo "$(grep -c '^ok' "$LAB_TMP/hostile.log") cases, of them $(grep -c ' # SKIP' "$LAB_TMP/hostile.log") skipped"
}
