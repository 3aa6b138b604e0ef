# SPDX-License-Identifier: GPL-2.0-only
# Completion of pulse-wsbench for bash.

_pulse_wsbench()
{
	local cur=${COMP_WORDS[COMP_CWORD]} words
	words='--connections --size --depth --rate --duration --warmup --messages --threads --text
		--deflate --no-verify --idle --spin --timeout --json --help --version ws:// tcp://'

	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-c|--connections) words='1 100 1000 10000' ;;
	-s|--size) words='20 512 16K 1M' ;;
	-d|--depth) words='1 16' ;;
	-[rtwnT]|--rate|--duration|--warmup|--messages|--threads|--timeout) return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _pulse_wsbench -o nospace pulse-wsbench
