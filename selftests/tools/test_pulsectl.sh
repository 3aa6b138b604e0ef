#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pulsectl without the module: usage, errors, and doctor on machines that are
# made up of files.
cd "$(dirname "$0")/../.." || exit 1
. selftests/tools/ctl.sh
trap 'rm -rf "$tmp"' EXIT
begin_tests

ctl 0 --help && says '^usage: pulsectl' && says 'Exit status: 0 done; 1' && [ ! -s "$tmp/err" ]
point "--help tells the usage and the exit statuses"
ctl 0 --version && says '^pulsectl .* [0-9]+\.[0-9]+\.[0-9]+$'
point "--version tells the version"
for sub in status ctx workers knob monitor doctor; do
	ctl 0 "$sub" --help && says "^usage: pulsectl .*$sub"
	point "$sub --help tells its usage"
done
ctl 2 && tells '^usage: pulsectl'
point "nothing to do is wrong usage"
ctl 2 reboot && tells "COMMAND is .*'reboot'; see pulsectl --help"
point "an unknown command is named"
ctl 2 --colour && tells "'--colour'"
point "an unknown option is named"
ctl 2 ctx seven && tells "'seven'" && ctl 2 ctx 0 && tells "'0'" && ctl 2 workers 4294967296
point "a context that is no number, or none that can be"
ctl 2 ctx 1 2 && tells "'2'"
point "an argument too many"
ctl 2 knob && tells 'list, get or set' && ctl 2 knob turn && tells "'turn'"
point "knob wants list, get or set"
ctl 2 knob set spin_us && tells 'NAME and VALUE' && ctl 2 knob get && ctl 2 knob list all
point "knob counts its arguments"
ctl 2 knob set spin_us -1 && tells "'-1'" && ctl 2 knob set spin_us 5us && tells "'5us'" &&
	ctl 2 knob set spin_us 4294967296 && tells '4294967296'
point "a value that is no number is named"
ctl 2 knob get aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa && tells 'aaaa'
point "a name that is too long for a knob"
ctl 2 knob --ctx x list && tells "'x'" && ctl 2 knob --ctx
point "--ctx wants a number"
ctl 2 monitor --count 0 && tells "'0'" && ctl 2 monitor --count && ctl 2 monitor now
point "monitor --count wants a number from 1 on"
ctl 2 --root && tells 'folder'
point "--root wants a folder"

# A machine of files.
root=$tmp/root
rel=$(uname -r)
mkdir -p "$root/proc" "$root/sys/kernel/security" "$root/sys/module/module/parameters" \
	"$root/lib/modules/$rel" "$root/dev" "$root/boot"
verdict() { json "[c for c in j if c['check'] == '$1'][0]['verdict'] == '$2'"; }
fixed() { json "'$2' in [c for c in j if c['check'] == '$1'][0]['fix']"; }

ctl 3 --root "$root" status && tells 'no loadable modules'
point "status without the module, on a kernel that has none"
: >"$root/proc/modules"
ctl 3 --root "$root" status && tells 'fix: modprobe pulse'
point "status without the module says how to load it"
ctl 3 --root "$root" -j status && json "j == {'loaded': False}"
point "and as JSON"
for sub in ctx workers "knob list" monitor; do
	# shellcheck disable=SC2086 # words
	[ -e /sys/class/misc/pulse ] || ctl 3 $sub && [ ! -s "$tmp/out" ] || [ -e /sys/class/misc/pulse ]
	point "$sub without the module says so"
done
ctl 2 --root "$root" ctx && tells -- '--root'
point "ctx of another root is refused"

ctl 1 --root "$root" doctor && says '^FAIL  loaded' && says 'fix:  *modprobe pulse'
point "doctor: not loaded is a failure with a fix"
ctl 1 --root "$root" -j doctor && json "len(j) == 12" &&
	json "all(set(c) == {'check', 'verdict', 'text', 'fix'} for c in j)" &&
	json "all((c['fix'] == '') == (c['verdict'] == 'OK') for c in j)"
point "doctor: a fix where and only where something is wrong"
verdict modules OK && verdict headers WARN && fixed headers "linux-headers-$rel" &&
	verdict built WARN && verdict device FAIL && verdict notifiers WARN && verdict btf WARN
point "doctor: what an empty machine lacks"
rm "$root/proc/modules"
ctl 1 --root "$root" -j doctor && verdict modules FAIL
point "doctor: a kernel without modules"
: >"$root/proc/modules"
echo '# CONFIG_PREEMPT_NOTIFIERS is not set' >"$root/boot/config-$rel"
ctl 1 --root "$root" -j doctor && verdict notifiers FAIL && fixed notifiers CONFIG_KVM
point "doctor: a kernel without preempt notifiers"
echo 'CONFIG_PREEMPT_NOTIFIERS=y' >"$root/boot/config-$rel"
mkdir -p "$root/lib/modules/$rel/build" "$root/lib/modules/$rel/updates/dkms" "$root/sys/kernel/btf"
: >"$root/lib/modules/$rel/updates/dkms/pulse.ko.xz"
: >"$root/sys/kernel/btf/vmlinux"
ctl 1 --root "$root" -j doctor && verdict notifiers OK && verdict headers OK &&
	verdict built OK && verdict btf OK && verdict signature OK
point "doctor: headers, module and types are found"
echo 'none [integrity] confidentiality' >"$root/sys/kernel/security/lockdown"
ctl 1 --root "$root" -j doctor && verdict signature WARN && fixed signature mokutil
point "doctor: lockdown"
echo '[none] integrity confidentiality' >"$root/sys/kernel/security/lockdown"
ctl 1 --root "$root" -j doctor && verdict signature OK
point "doctor: no lockdown"
echo Y >"$root/sys/module/module/parameters/sig_enforce"
ctl 1 --root "$root" -j doctor && verdict signature WARN
point "doctor: signatures are enforced"
: >"$root/dev/pulse"
ctl 1 --root "$root" -j doctor && verdict device FAIL && json "'no device' in str(j)"
point "doctor: /dev/pulse is a plain file"
rm "$root/dev/pulse"
if mknod "$root/dev/pulse" c 1 3 2>/dev/null; then
	mkdir -p "$root/sys/class/misc/pulse"
	echo 1 >"$root/sys/class/misc/pulse/abi"
	chmod 755 "$tmp"
	chmod 600 "$root/dev/pulse"
	ctl 0 --root "$root" -j doctor && verdict loaded OK && verdict device OK
	point "doctor: all is well, exit status 0"
	cp "$CTL" "$tmp/pulsectl"
	setpriv --reuid 4001 --regid 4001 --clear-groups \
		"$tmp/pulsectl" --root "$root" -j doctor >"$tmp/out" 2>"$tmp/err"
	verdict device FAIL && fixed device 'usermod -aG pulse-u'
	point "doctor: a device that is another's"
else
	echo "ok $((n + 1)) - doctor: a whole machine # SKIP device nodes are root's to make"
	n=$((n + 1))
fi
(ulimit -S -n 64 -l 64; ctl 0 --root "$root" -j doctor; rc=$?
 [ $rc -le 1 ] && verdict memlock WARN && verdict nofile WARN && fixed nofile ulimit)
point "doctor: small limits"
timeout 60 "$CTL" --root "$root" doctor >/dev/full 2>"$tmp/err"
[ $? -eq 1 ]
point "an output that cannot be written is an error"

# bash completion
# shellcheck source=/dev/null
. tools/completion/pulsectl.bash
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _pulsectl; echo "${COMPREPLY[*]}"; }
[ "$(complete_words pulsectl do)" = doctor ] && [ "$(complete_words pulsectl knob s)" = set ] &&
	[ "$(complete_words pulsectl knob set wake_)" = wake_spill ] &&
	[ "$(complete_words pulsectl monitor --c)" = --count ]
point "bash completes commands, verbs and knobs"
MANWIDTH=80 man --warnings -l Documentation/man/pulsectl.8 >"$tmp/out" 2>"$tmp/err" ||
	! command -v man >/dev/null
grep -q '^\.TH PULSECTL 8' Documentation/man/pulsectl.8 && [ ! -s "$tmp/err" ] &&
	for sub in status ctx workers knob monitor doctor; do
		grep -q "^\.B $sub\|^\.BI \?\"\?$sub\|^\.BR \?$sub" Documentation/man/pulsectl.8 || exit 1
	done
point "the manual page has each command"
end_tests
