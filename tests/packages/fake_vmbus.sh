# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC2154
# Stands in for the kernel in tests of hv-vss-bind: what a write to the VMBus files of sysfs does,
# on a directory tree. Replaces put() there. Drivers are in $bus/order in order of registration;
# $bus/no_match/DRIVER lets its probe fail, $proc/PID/fd/4 is what keeps hv_utils from letting go;
# with $bus/frees_at_once it does not wait, as in Linux 4.2 to 4.4, and $bus/oops says what followed.
# $bus/channel is what hv_vss says of the channel, instead of "open".

# take DEVICE DRIVER
take()
{
	ln -s "../../drivers/$2" "$bus/devices/$1/driver"
	[ "$2" = hv_vss ] || return 0
	mkdir "$bus/devices/$1/hv_vss"
	cat "$bus/channel" >"$bus/devices/$1/hv_vss/channel" 2>/dev/null ||
		echo open >"$bus/devices/$1/hv_vss/channel"
}

# may_bind DEVICE DRIVER
may_bind()
{
	only=$(cat "$bus/devices/$1/driver_override" 2>/dev/null)
	[ ! -L "$bus/devices/$1/driver" ] && [ -e "$bus/drivers/$2" ] &&
		[ ! -e "$bus/no_match/$2" ] && { [ -z "$only" ] || [ "$only" = "$2" ]; }
}

put()
{
	echo "$1 > ${2#"$bus/"}" >>"$bus/log"
	dir=${2%/*}
	name=${dir##*/}
	case $2 in
	*/driver_override)
		printf '%s' "$1" >"$2"
		;;
	*/unbind)
		if [ "$(readlink "$bus/devices/$1/driver")" != "../../drivers/$name" ]; then
			echo "No such device"
			return 1
		fi
		while [ "$name" != hv_vss ] && [ -n "$(holders)" ]; do
			if [ -e "$bus/frees_at_once" ]; then
				touch "$bus/oops"
				break
			fi
			sleep 0.1
		done
		rm -rf "$bus/devices/$1/driver" "$bus/devices/$1/hv_vss"
		;;
	*/bind)
		if ! may_bind "$1" "$name"; then
			echo "No such device"
			return 1
		fi
		take "$1" "$name"
		;;
	*/drivers_probe)
		while read -r name; do
			if may_bind "$1" "$name"; then
				take "$1" "$name"
				return
			fi
		done <"$bus/order"
		;;
	esac
}
