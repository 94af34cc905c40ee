# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# bash completion of xvmm(1): /usr/share/bash-completion/completions/xvmm
#
# Functions share _xvmm()'s $program, $words, what has been typed, and $cur, the word or value that is
# being typed.

_xvmm_interfaces() {
	ip -o link show 2>/dev/null | sed 's/^[0-9]*: \([^:@]*\).*/\1/'
}

# _xvmm_words WORDS: which of them go on with $cur.
_xvmm_words() {
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# _xvmm_names TYPE [PREFIX]: files and the like, of a TYPE of compgen's, that $cur has behind PREFIX.
_xvmm_names() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -A "$1" -P "${2-}" -- "${cur#"${2-}"}")
}

# _xvmm_spec OPTION: in a SPEC, behind its first word. The program knows which keys there are.
_xvmm_spec() {
	local head=${cur%,*}, pair=${cur##*,} keys
	local key=${pair%%=*}

	compopt -o nospace 2>/dev/null
	if [[ $pair != *=* ]]; then
		keys=$("$program" --kernel k "$1" "$head?" 2>&1 | sed -n 's/.*(known keys[^:]*: \([^)]*\)).*/\1/p')
		keys=${keys//.../} # behind one that may be repeated
		mapfile -t COMPREPLY < <(compgen -W "${keys//,/ }" -P "$head" -S = -- "$pair")
		return
	fi
	head+=$key=
	case $key in
	socket | pcap) _xvmm_names file "$head" ;;
	chroot) _xvmm_names directory "$head" ;;
	user | group) _xvmm_names "$key" "$head" ;;
	fallback) keys=$(_xvmm_interfaces) ;;
	vhost) keys='on off auto' ;;
	transport) keys='mmio pci' ;;
	duplex) keys='full half' ;;
	hostfwd) keys='tcp: udp:' ;;
	fd | poll_us | grace | mac | mtu | id | queues | queue_size | speed) ;;
	loss | duplicate | corrupt | reorder | delay | rate | seed) ;;
	*) keys='on off' ;;
	esac
	[[ ! ${keys-} ]] || mapfile -t COMPREPLY < <(compgen -W "$keys" -P "$head" -- "${pair#*=}")
}

_xvmm_net() {
	if [[ $cur == *,* ]]; then
		_xvmm_spec --net
	else
		compopt -o nospace 2>/dev/null
		_xvmm_words "$(_xvmm_interfaces) user vhost-user,socket= fd="
	fi
}

# xvmm ctl PATH COMMAND ARGUMENT...
_xvmm_ctl() {
	local commands='query-status query-net xvmm-net-stats xvmm-cpu-stats metrics top xvmm-timeline timeline query-commands stop cont system_reset net-switch net-announce set_link getfd closefd query-rx-filter query-qmp-schema system_powerdown inject-nmi quit'

	case $((${#words[@]} - 1)),${words[3]-} in
	2,*) _xvmm_names file ;;
	3,*) _xvmm_words "$commands" ;;
	4,net-switch | 4,net-announce | 4,set_link)
		_xvmm_words "$("$program" ctl "${words[2]}" query-net 2>/dev/null | sed -n 's/.*"id": "\(.*\)".*/\1/p')"
		;;
	5,net-switch) _xvmm_net ;;
	5,set_link) _xvmm_words 'on off' ;;
	esac
}

# The value of the option $1; false: it isn't one with a value.
_xvmm_value() {
	case $1,$cur in
	--kernel,* | --initrd,* | --control,* | --config,* | --timeline,*) _xvmm_names file ;;
	--boot,*) _xvmm_words 'auto linux pvh' ;;
	--memory,*,* | --sandbox,*,*) _xvmm_spec "$1" ;;
	--memory,*) _xvmm_words '512M 1G 2G' ;;
	--net,*) _xvmm_net ;;
	--transport,*) _xvmm_words 'mmio pci' ;;
	--console,file:*) _xvmm_names file file: ;;
	--console,*) _xvmm_words 'stdio off file:' ;;
	--sandbox,* | --panic-line,* | --packed,*) _xvmm_words 'on off' ;;
	--cmdline,* | --cpus,* | --timeout,*) ;;
	*) return 1 ;;
	esac
}

_xvmm_option() {
	local options='--kernel --initrd --cmdline --boot --cpus --memory --net --transport --console --control
		--sandbox --panic-line --config --print-config --timeline --timeout --version --help'

	case ${words[1]} in
	timeline) _xvmm_names file ;;
	selftest) _xvmm_words '--transport --packed --help' ;;
	check) _xvmm_words "$options --json" ;;
	*)
		((${#words[@]} > 2)) || options+=' check ctl selftest timeline'
		_xvmm_words "$options"
		;;
	esac
}

_xvmm() {
	local program=${COMP_WORDS[0]} words=() cur option prefix

	# Bash breaks words at '=' and ':', too: here they are whole. A backslash keeps a blank in one.
	# shellcheck disable=SC2162
	read -a words <<<"${COMP_LINE:0:COMP_POINT}."
	words[-1]=${words[-1]%.}
	cur=${words[-1]} option=${words[-2]}
	if [[ $cur == --*=* ]]; then
		option=${cur%%=*}
		cur=${cur#*=}
	fi
	COMPREPLY=()
	if [[ ${words[1]} == ctl ]] && ((${#words[@]} > 2)); then
		_xvmm_ctl
	else
		_xvmm_value "$option" || _xvmm_option
	fi
	# What is inserted takes the place of what Bash has for a word.
	prefix=${cur%"${cur##*[=:]}"}
	[[ $COMP_WORDBREAKS == *=* ]] || prefix=
	COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
	[[ ${COMPREPLY[*]} != *[=:] ]] || compopt -o nospace 2>/dev/null
}
complete -F _xvmm xvmm
