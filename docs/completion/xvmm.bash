# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# bash completion of xvmm(1): /usr/share/bash-completion/completions/xvmm

_xvmm_interfaces() {
	ip -o link show 2>/dev/null | sed 's/^[0-9]*: \([^:@]*\).*/\1/'
}

_xvmm() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=

	if [[ ${COMP_WORDS[1]} == ctl ]]; then
		case $COMP_CWORD in
		2) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
		3)
			words='query-status query-net xvmm-net-stats xvmm-cpu-stats metrics top xvmm-timeline timeline query-commands stop cont system_reset net-switch net-announce set_link getfd closefd query-rx-filter query-qmp-schema system_powerdown quit'
			mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
			;;
		esac
		return
	fi
	case $before in
	--kernel | --initrd | --control | --config | --timeline | timeline)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--boot) words='auto linux pvh' ;;
	--memory) words='512M 1G 2G' ;;
	--net) words="$(_xvmm_interfaces) user vhost-user,socket= fd=" ;;
	--transport) words='mmio pci' ;;
	--console) words='stdio off file:' ;;
	--sandbox | --panic-line) words='on off' ;;
	--cmdline | --cpus | --timeout) return ;;
	*)
		words='--kernel --initrd --cmdline --boot --cpus --memory --net --transport --console --control
			--sandbox --panic-line --config --print-config --timeline --timeout --version --help'
		((COMP_CWORD > 1)) || words+=' check ctl selftest timeline'
		[[ ${COMP_WORDS[1]} != check ]] || words+=' --json'
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o nospace -F _xvmm xvmm
