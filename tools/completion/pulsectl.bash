# SPDX-License-Identifier: GPL-2.0-only
# Completion of pulsectl for bash.

_pulsectl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} words='' sub='' verb='' i
	local knobs='beat_floor_us max_contexts_per_user max_pages_per_user max_workers_per_user spin_us wake_spill watch_interval_ms'

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--root|--ctx|--count) ((i++)) ;;
		-*) ;;
		*) if [[ -z $sub ]]; then sub=${COMP_WORDS[i]}; else verb=${verb:-${COMP_WORDS[i]}}; fi ;;
		esac
	done
	case $sub in
	'')	words='status ctx workers knob monitor doctor -j --json --root --help --version' ;;
	knob)	case $verb in
		'') words='list get set --ctx --help' ;;
		get|set) words=$knobs ;;
		esac ;;
	ctx|workers)
		for i in /sys/class/misc/pulse/ctx[0-9]*; do
			[[ -d $i ]] && words+=" ${i##*/ctx}"
		done
		words+=' --help' ;;
	monitor) words='--count --help' ;;
	*)	words=--help ;;
	esac
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	--root)	mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--count) return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _pulsectl pulsectl
